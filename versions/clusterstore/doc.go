// Package clusterstore keeps version files in a Kubernetes cluster, for runners whose machine may
// vanish. It is a [versions.Store] of Secrets and Leases, and of nothing else: no custom resource,
// no finalizer, no owner reference.
//
// # Use
//
// [New] opens the store in a namespace, which has to be there. The runner is given a private key,
// whoever replays the public ones: see [ReadSigningKey] and [ReadPublicKeys].
//
// # Avoid
//
// Don't give a private key to whoever only replays. Don't use the namespace for anything else: who
// may write Secrets in it can take undos away.
//
// # Promised
//
//   - Layout. A version file is an immutable Secret of type ebb.dev/version-file, named after its
//     execution and its ordinal in it. It holds the content, gzipped, the signature and the key's
//     ID. Its labels tell the run, the scenario type, the execution, the state and the cluster that
//     it is for. An execution has one Lease.
//   - Write-ahead. Flush returns when the API server has said that the Secret is there. What is too
//     long for a Secret is refused.
//   - One holder. An execution is held through its Lease, which its holder renews every 10 s. A
//     holder that can't renew it for 30 s refuses to write and to note changes: MarkInFlight
//     fails. Both are counted from the start of the last renewal that was answered, by a clock that
//     counts on while the machine sleeps. What Permit returns is to be checked when a request is
//     written to its connection: a process may have slept since MarkInFlight.
//   - A Lease that somebody deleted is nobody's. Its holder changes nothing more, and may undo; who
//     opens the execution then treats it as one whose holder may be alive.
//   - Dead men. A Lease that has not changed for 60 s, by the clock of who looks, has no holder any
//     more; neither has that of a process of this very machine that is gone. No other machine's
//     clock is believed. Who takes it over uses up the execution's next ordinal, so that the old
//     holder's next Flush fails, and waits until no request of the old holder's can land.
//   - Trust. A file is read only if its signature is by a known key, and for this file at this place:
//     cluster, execution, the Lease's UID, ordinal, name and content. The Lease goes with the last
//     file of its execution: a copy of a file that is put back later is worth nothing.
//   - Answers. Only the API server's own answers count, as package kube judges them.
//   - Cost. A change costs one request more: the create of its Secret. Requests under way are noted in
//     the Lease with its renewals; of a holder that died, any request may be under way.
package clusterstore
