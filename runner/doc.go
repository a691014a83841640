// Package runner runs chaos scenarios and undoes them. It connects the Starlark interpreter
// (package engine), the functions that scripts can call (package builtins), and the store of
// version files (package versions). A Go program that embeds ebb needs this package and a store.
//
// # Use
//
// [New] makes a runner. To run scenarios, call [Runner.Prepare] and then [Runner.Run]. To undo what
// an earlier run left behind, call [Runner.Replay]. Each returns a report with the outcome of every
// version file. The error says only why it could not start. [KindOf] and [HintsOf] tell what kind
// of failure an error is, and what can be done about it.
//
// A script can end the process of its runner: Starlark has no memory limit. Package supervisor does
// the same work in a process of its own.
//
// # Avoid
//
// Do not read success from the error of Run or Replay: look at the report. Do not cancel the
// context to leave everything as it is. After a cancel, Run undoes the current scenario within
// [Options.Grace], and Replay stops after the current file. To leave everything as it is, end the
// process.
//
// # Promised
//
//   - Preflight. Before a scenario begins, the store has written and read a file. The API server
//     has been asked whether this user has the rights that the scenario and its undo need.
//   - Write-ahead. A change is sent only after its version file is on stable storage, was read
//     back, and was loaded as a replay would load it.
//   - Rehearsal. Before the change, the undo is called as a plan, and verify is called. An error in
//     the script, or a missing right, stops the scenario.
//   - Honest. A file is restored when its callable has returned and its verify has passed. Only
//     then is it renamed.
//   - The plan is the replay. A dry run decides with the same code which files are blocked, in use
//     or refused.
//   - Newest first. The files of an execution are replayed from the newest to the oldest. So are
//     executions whose files share a ref. A file that fails blocks the older ones. A replay begins
//     while it reads the store. Of independent executions that were read and wait, those that need
//     only a cloud come first. A file that has ended a process comes last.
//   - No overlap. A file that shares a ref with a pending file of another execution is refused
//     before anything is changed.
//   - One at a time. An execution is locked while it runs and while it is replayed.
//   - Right cluster. The first call that needs the cluster compares its UID with the UID in the
//     version file.
//
// The process can be killed at any line: what is pending on disk is what has to be undone. For each
// change the order is: write the version file, write the journal, mark the request, send it, remove
// the mark. For each replayed file it is: write the attempt to the journal, undo, verify, rename,
// write the outcome to the journal. A replay's lines in the journal wait for the disk together, and last at
// its end: they tell what a process was at that died, and for that the page cache is enough.
package runner
