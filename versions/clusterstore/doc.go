// Package clusterstore keeps version files in a Kubernetes cluster, for runners whose machine may be
// lost. It is a [versions.Store] of Secrets and Leases, and of nothing else: no custom resource, no
// finalizer, no owner reference.
//
// # Use
//
// [New] opens the store in an existing namespace. The runner has a private key. Processes that replay
// have the public keys: see [ReadSigningKey] and [ReadPublicKeys].
//
// # Avoid
//
// Don't give a private key to a process that only replays. Don't use the namespace for anything else:
// whoever may write Secrets in it can remove version files.
//
// # Promised
//
//   - Layout. A version file is an immutable Secret of type ebb.dev/version-file. Its name is made of
//     its execution and its ordinal in that. It holds the gzipped content, the signature and the ID
//     of the key. Its labels are the run, the scenario type, the execution, the state and the UID of
//     the cluster that was changed. An execution has one Lease.
//   - Write-ahead. Flush returns when the API server has confirmed the Secret. A file that is too
//     long for a Secret is refused.
//   - One holder. A process holds an execution through its Lease, which it renews every 10 s. If it
//     could not renew for 30 s, it refuses to write and to note changes: MarkInFlight fails. The time
//     counts from the start of the last renewal that was answered, by a clock that also counts while
//     the machine sleeps. Call the function that Permit returns when a request is written to its
//     connection, because the process may have slept since MarkInFlight.
//   - Deleted Lease. If somebody deletes the Lease, the execution has no proven holder. The holder
//     makes no further change, and may undo. If it wrote files that are pending, it makes the Lease
//     anew, and writes and signs them again, so that others can undo them. A process that opens the
//     execution before that assumes that the holder may be alive.
//   - Restored state. If the cluster is restored from a backup, it lacks what was written after that.
//     A holder looks for its files after each renewal that failed, and each time that it finds
//     another version of its Lease than it wrote. It writes again what is missing, before the file of
//     a further change. Holders that died before that can't: their files are lost.
//   - Dead holder. A holder is dead if its Lease has not changed for 60 s, by the clock of the process
//     that watches it, or if it was a process of the same machine that has ended. The clocks of other
//     machines are not used. The process that takes over first creates the next ordinal of the
//     execution, so the next Flush of the old holder fails. Then it waits until no request of the
//     old holder can arrive any more.
//   - Trust. A file is read only if its signature is by a known key, and for this file in this place:
//     cluster, execution, UID of the Lease, ordinal, name and content. The Lease is deleted with the
//     last file of its execution. So a copy of a file that is put back later is refused.
//   - Answers. Only answers of the API server itself count, as package kube checks them.
//   - Cost. A change costs one request more: the creation of its Secret. Requests under way are noted
//     in the Lease with its renewals. After a holder has died, any request may be under way.
package clusterstore
