// Package builtins is what scripts can call: the Kubernetes objects of a cluster,
// logs, time, data formats, and the words of a rollback.
//
// Use [Predeclared] as the names an interpreter injects into every module, and
// [Bind] on each of its threads, with a context that [WithSession] made. One
// [Session] is one call into a script: its mode says what the call may do, and it
// remembers what was done.
//
// A script reaches the outside through these functions and through nothing else.
// None of them opens a file, names an endpoint or reads the environment: what
// they may touch is decided by the session's owner.
//
// Promised:
//
//   - In [Run] mode a function that changes something needs a reference to exactly
//     that thing in a rollback which the session's [Recorder] has acknowledged
//     since the thing was last changed. There is no other way to a change.
//   - In [Verify] mode nothing is changed; in [Plan] mode changes are listed and
//     not made; in [Init] mode, while a module loads, the outside is out of reach.
//   - What is created carries the run's labels, or is deleted again at once; what is
//     deleted as owned must carry them. What is restored is as it was.
//   - While a create may still be on its way, absence is not believed.
//   - Every function that waits honours the context of its thread.
//
// Every function is made by one generic function, builtin, from a struct whose tags declare
// its parameters, and says what it may touch ([Access]). So all calls take the same way:
// they are unpacked, the mode of their session is checked, their errors get the function's
// name once, and [Session].Observe sees them. [Signatures] comes from the same table.
//
// The documentation for script authors stands in api.star, which is embedded ([API]);
// a test keeps it and the table equal.
package builtins
