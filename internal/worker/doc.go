// Package worker starts this program once more, as a worker process that does work for this one. If
// the work ends the worker, this process continues and learns how the worker ended.
//
// Call [Take] at the beginning of main. It reports whether this process is the worker, which then
// calls [Open]. The other process calls [Start], and then [Process.Wait].
//
// Avoid slow work in the function that Wait calls. A worker whose events are not read blocks, and is
// ended because it gives no sign of life.
//
// Promised:
//
//   - An environment variable marks a process as a worker. The worker removes it before it starts a
//     program of its own.
//   - A worker ends when the process that started it ends, for whatever reason.
//   - A worker ignores signals. The process that started it passes them on. A terminal sends them to
//     both.
//   - The standard output of a worker is Options.Output. Its standard error is kept for [End], so a
//     crash does not print a page of stacks.
//   - Programs that a worker has started, such as credential plugins, end with it. To find them,
//     systems other than Linux need ps.
//   - Every event that a worker has sent before its end arrives.
package worker
