// Package supervisor replays version files, runs scenarios and checks files in a process of their own, so
// that no script can take this one down. A list of a billion zeros is five steps to the interpreter and the
// end of its process; so is a step of it that can't be interrupted.
//
// Call [Main] first in main, with the function that makes a runner. Then use [New] with the same
// function, and [Supervisor.Replay], [Supervisor.ReplayFile], [Supervisor.Run] and [Supervisor.Check] as
// those of a [runner.Runner]: reports and errors are the same. Settings tell the function what it needs to
// know in the other process: a directory, the name of a kubeconfig.
//
// The worker is this program, started once more with the same arguments, and it does all of the work:
// it alone loads files, locks executions and speaks to the cluster. There is one for all files and not one for
// each: starting a process and connecting to the API server takes as long as ten deletes, and files that
// take a process down are rare.
//
// Avoid to do anything before Main that only one process may do, such as listening on a port. Avoid to handle
// signals in the function that makes the runner: the worker ignores them, and hears of them
// from here. Cancel the context for the first of [Signals], and [Supervisor.Kill] the work for a second one.
//
// Promised:
//
//   - A worker that is killed, crashes, is silent or takes too much memory is replaced by another, which goes on. This
//     process goes on in any case; it never exits by itself.
//   - A version file whose code was at work when a worker died fails with a [runner.LostError] and is not tried
//     again; it stays pending. What else is pending is replayed.
//   - A scenario whose worker died has failed with a [runner.LostError]. Another worker replays its version files
//     at once, unless failed scenarios are left; a mistake in a scenario's own code does not keep its undo
//     from being tried. Then the run goes on as after any failed scenario.
//   - Nothing is believed that a worker has not said, and everything that it said counts: a file is restored
//     only when a worker said so, after it was verified and renamed.
//   - The grace counts from when the context was cancelled, whatever becomes of workers after that.
//   - A worker ends as soon as this process does. What was pending stays so.
//   - Where no process can be started, the work is done in this one, and the log says so.
package supervisor
