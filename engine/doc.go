// Package engine is the Starlark interpreter of ebb: it loads files, calls their functions under limits, carves
// functions out of a script into a file that stands for itself, and says what is wrong with a file.
//
// Start with [New] and [Engine.Load], take a function with [Module.Get], and call it with [Engine.Call]. For scripts
// of several files there is [Engine.LoadScript]. [Engine.Carve] writes. [Engine.Check]
// reads without running; [Engine.CheckModule] finds in a loaded file what would fail once it is reached. The
// host's builtins find their [Context] on the thread, and return errors that are [Catchable] for whatever the world
// answers, as opposed to what a script got wrong.
//
// Avoid handing a value that a running script may still change to another goroutine, and calling starlark.Call
// yourself on a thread that this package did not make: attempt and parallel would not work there.
//
// # What scripts get
//
// Starlark as starlark-go has it, with set and without while, recursion and statements at the top level, and:
//
//	struct(**fields)               a value with fields
//	fail(*args, sep = " ")         ends the call with a message
//	attempt(fn, *args, **kwargs)   calls fn; struct(ok, value, error), where error is None or
//	                               has reason, code, message and pos; fail(error) raises it again
//	parallel(fn, items, limit=16)  [fn(item) for item in items], limit at a time
//
// attempt catches what fail raises and what is [Catchable], nothing else: a mistake in a script, a Go panic, the end
// of the time and of the steps go on, so that no script can swallow them. parallel waits for all items and then
// raises the first failure in their order, a mistake before anything that can be caught. fn and items are frozen,
// each item has the full step limit, and parallel nests three deep at most.
//
// # What is promised
//
//   - A module's variables are frozen before anything in it can be called from outside, so that a function behaves
//     the same in the script and in the file that is carved from it.
//   - A call ends soon after its context does, when it is out of steps, and after a Go panic, always with an [*Error].
//     Builtins that wait must watch their [Context]: the interpreter can't interrupt them.
//   - Errors name file, line and column, and what to do about it wherever that is known.
//   - Source that is too large, not UTF-8, truncated, or nested too deeply (some 70 brackets) is refused with an
//     [*Error].
//   - What [Engine.Carve] returns can be parsed, resolved and compiled with the same builtins, and its values and
//     functions equal those that it was made of.
//   - No goroutine outlives the call that started it.
//
// # What is not
//
// Memory has no limit: [0] * (1 << 30) takes 16 GiB in one step, and a list nested a few million deep overflows the
// Go stack when it is printed or frozen; both end the process. A single builtin operation on huge numbers or strings
// can't be interrupted. So files are trusted not to be hostile, and a host writes down what it is about to run before
// it does.
package engine
