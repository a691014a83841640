// Package krkn reads the version files that Krkn writes. They are Python, and nothing of them is
// run: of each, one expression is read, which has to be made of literals, and the name of one
// function.
//
// # Use
//
// [Parse] returns what a file is to undo: the name of Krkn's function, and the fields that it gets
// from what the expression holds, checked one by one.
//
//	rollback, err := krkn.Parse(content)
//	if err == nil && rollback.Doubt == nil { … rollback.Callable, rollback.Fields … }
//
// # Avoid
//
// Don't go by the fields of a file with a Doubt, unless a person said so: its code is not what Krkn
// writes, or it names things that Krkn would name otherwise.
//
// # Promised
//
//   - Exact. The expression is read as Python would read it, and whatever is no literal is an error
//     that says where and why. So is every field that is missing, additional or of another type.
//   - Known. Code is known by its SHA-256, for all of Krkn's history: see known.go. What is edited
//     by hand is not taken for Krkn's, wherever it was edited.
//   - Bounded. Time and memory grow with the length of the content, nesting is limited, and nothing
//     outside of the content is read.
package krkn
