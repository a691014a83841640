// Package engine is ebb's Starlark interpreter. It loads files, calls their functions with limits,
// writes functions of a script into a file of their own, and checks files without running them.
//
// # Use
//
// Make an engine with [New]. Load a file with [Engine.Load], or a script of several files with
// [Engine.LoadScript]. Get a function with [Module.Get], and call it with [Engine.Call].
// [Engine.Extract] writes functions into a file. [Engine.Check] finds errors without running
// anything. [Engine.CheckModule] finds calls in a loaded file that would fail.
//
// A builtin of the host finds its [Context] on the thread. If the world outside gives an error, it
// should return a [Catchable] error. If the script has a mistake, it should return any other error.
//
// # Avoid
//
// Do not give a value that a running script may still change to another goroutine. Do not call
// starlark.Call on a thread that this package did not make: attempt and parallel do not work there.
//
// # What scripts get
//
// Scripts are written in the Starlark of starlark-go. They have set. They have no while, no
// recursion and no statements at the top level. These functions are added:
//
//	struct(**fields)               a value with fields
//	fail(*args, sep = " ")         ends the call with a message
//	attempt(fn, *args, **kwargs)   calls fn; struct(ok, value, error), where error is None or
//	                               has reason, code, message and pos; fail(error) raises it again
//	parallel(fn, items, limit=16)  [fn(item) for item in items], limit at a time
//
// attempt catches what fail raises, and [Catchable] errors. It does not catch a mistake in the
// script, a Go panic, the end of the time, or the end of the steps. So no script can hide them.
//
// parallel waits for all items. Then it raises the first failure in the order of the items; a
// mistake comes before any error that attempt could catch. fn and items are frozen. Each item has
// the full step limit. parallel can be nested three deep.
//
// # Promised
//
//   - The variables of a module are frozen before anything in it can be called from outside. So a
//     function behaves the same in the script and in the file that Extract writes.
//   - A call ends soon after its context ends, after its last step, or after a Go panic. The error
//     is always an [*Error]. A builtin that waits must watch its [Context], because the interpreter
//     can't interrupt it.
//   - An error names file, line and column, and has a hint where one is known.
//   - Source that is too large, not UTF-8, truncated, or nested too deeply (about 70 brackets) is
//     refused with an [*Error].
//   - The result of [Engine.Extract] can be parsed, resolved and compiled with the same builtins. Its
//     values and functions equal the originals.
//   - No goroutine outlives the call that started it.
//
// # Not promised
//
// Memory has no limit. [0] * (1 << 30) takes 16 GiB in one step. Printing or freezing a list that
// is nested a few million deep overflows the Go stack. Both end the process. A single operation on
// huge numbers or strings can't be interrupted. So a host must trust its files not to be hostile,
// or run them in a process of their own (package supervisor), and record what it runs before it
// does.
package engine
