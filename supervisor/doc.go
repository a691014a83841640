// Package supervisor replays version files, runs scenarios and checks files in a process of their
// own, the worker. So no script can end this process. Starlark has no memory limit, and some of its
// steps can't be interrupted: a list of a billion zeros is five steps, and can end the process that
// makes it.
//
// # Use
//
// Call [Main] first in main, with the function that makes a runner. Call [New] with the same
// function. [Supervisor.Replay], [Supervisor.ReplayFile], [Supervisor.Run] and [Supervisor.Check]
// then give the same reports and errors as those of a [runner.Runner]. The settings hold what the
// function needs to know in the worker, such as a directory or the name of a kubeconfig.
//
// Cancel the context for the first of [Signals]. Call [Supervisor.Kill] for a second one.
//
// The worker is this program, started again with the same arguments. It alone loads files, locks
// executions and talks to the cluster. One worker serves all files: a new process with a new
// connection takes as long as ten deletes, and files that end their process are rare.
//
// # Avoid
//
// Do nothing before Main that only one process may do, such as listening on a port. Do not handle
// signals in the function that makes the runner: the worker ignores signals, and the supervisor
// tells it to stop.
//
// # Promised
//
//   - If a worker is killed, crashes, gives no sign of life or takes too much memory, a new worker
//     goes on. This process goes on in any case, and never exits by itself.
//   - A version file whose code was running when its worker died has failed with a
//     [runner.LostError]. It is not tried again and stays pending. The other pending files are
//     replayed.
//   - A scenario whose worker died has failed with a [runner.LostError]. A new worker replays its
//     version files at once, unless failed scenarios are left as they are. Then the run goes on as
//     after any failed scenario.
//   - A file is restored only after a worker verified it and renamed or removed it. What a worker
//     reported before it died counts. If it died after the rename and before the report, the next
//     worker reports the file as already restored.
//   - The grace begins when the context is cancelled. A new worker does not extend it.
//   - A worker ends as soon as this process ends. What was pending stays pending.
//   - If no process can be started, this process does the work, and the log says so.
package supervisor
