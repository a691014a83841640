// Package builtins has the functions that scripts can call: Kubernetes objects, clouds, logs, time,
// data formats, and the declarations of scenarios and rollbacks.
//
// # Use
//
// Give the names of [Predeclared] to the interpreter for every module. Call [Bind] on each of its
// threads, with a context that [WithSession] made. One [Session] is one call into a script. Its
// mode says what the call may do, and it records what was done. [Signatures] has the parameters of
// every function, and [API] the documentation for authors of scripts.
//
// # Avoid
//
// Do not add a function that opens a file, takes an endpoint or reads the environment. Scripts
// reach the outside through these functions only, and the owner of the session decides what they
// may reach.
//
// # Promised
//
//   - In [Run] mode, a function that changes something needs a reference to exactly that thing in a
//     rollback. The session's [Recorder] must have recorded the rollback after the last change of
//     the thing. There is no other way to make a change.
//   - In [Verify] mode, nothing is changed. In [Plan] mode, changes are listed and not made. In
//     [Init] mode, while a module is loaded, nothing outside can be reached.
//   - A created object carries the run's labels, or is deleted again at once. An object that is
//     deleted as owned must carry them. A restored object is as it was.
//   - While a create may still arrive at the server, an absence is not believed.
//   - Every function that waits ends when the context of its thread does.
//
// # How a function is made
//
// The generic function builtin makes every function from a struct, whose tags declare the
// parameters, and an [Access] class. So all calls take the same path. The arguments are unpacked,
// the mode of the session is checked, an error gets the name of the function once, and
// [Session].Observe sees the call. [Signatures] comes from the same table. A test keeps the table
// and api.star equal.
package builtins
