// Package runner is the life cycle of chaos: it runs scenarios, and it undoes
// them. It joins the interpreter, what scripts can call and the store of version
// files; a Go program that embeds ebb needs this package and a store.
//
// Use [New], then [Runner.Prepare] and [Runner.Run] for scenarios, and
// [Runner.Replay] for what a run left behind. Each returns a report of what came
// of every version file; its errors are for what kept it from starting.
//
// Avoid cancelling a context more than once in a while: the first cancel makes
// Run undo the scenario within [Options.Grace] and makes Replay stop after the
// file that it is at.
//
// Promised:
//
//   - Preflight. Before a scenario begins, the store was seen to write and read a file,
//     and the API server was asked whether this user may do what the undo needs.
//   - Write-ahead. A scenario's change is sent only after its version file is on
//     stable storage, was read back, and was loaded as a replay would load it.
//   - Honest. A file is restored when its callable returned and its verify passed,
//     and nothing else is called so. Only then does its name change.
//   - Newest first. The files of an execution are replayed from the newest to the
//     oldest, and so are executions whose files share a ref. What fails keeps the
//     older ones from being replayed. Executions that are independent of each other are
//     undone as is best for all: those that need only a cloud before those that need the
//     API server, and a file that took a process down last.
//   - No overlap. A file whose refs another pending file names is taken back before
//     anything is changed.
//   - One at a time. Executions are locked while they run and while they are replayed.
//   - Right cluster. The first call that needs the cluster compares its UID with the
//     one in the version file.
//
// Kill the process at any line: what is pending on disk is what has to be undone.
// The order in which that holds is: flush, journal, mark the request, send it,
// unmark; and in a replay: journal the attempt, undo, verify, rename, journal the
// outcome.
package runner
