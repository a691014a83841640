// Package worker starts this program once more, as a process that works for this one: what
// takes that process down leaves this one standing, and told how it ended.
//
// Start with [Take] at the beginning of main, which reports whether this is the worker; it then
// calls [Open]. The other side calls [Start], and then [Process.Wait].
//
// Avoid to do anything slow in what Wait calls: a worker whose events are not read stands still,
// and is ended as silent.
//
// Promised: the mark that makes a process a worker is an environment variable, which is gone before
// the worker starts a program of its own. A worker ends when the process that started it does,
// whatever ended that. It hears of signals from that process alone, since a terminal sends them to
// both. Its standard output is where the other's logs go; its standard error is kept for [End], so
// that a crash does not print a page of stacks. The programs that a worker has started, such as a
// kubeconfig's, end with it; except on Linux, ps has to be there to find them. Every event that was sent before a worker's end
// arrives.
package worker
