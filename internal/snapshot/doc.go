// Package snapshot compares what is in a cluster at two moments, as somebody sees it who does not
// care which pod is which.
//
// Start with [Take], and call [Snapshot.Differences] with a later one.
//
// Avoid it where others work in the same namespaces: what they change is a difference, too.
//
// Promised: it only reads. What no undo can bring back is left out: UIDs, versions, times, and the
// names of pods that a controller makes. Values of Secrets are compared and never shown.
package snapshot
