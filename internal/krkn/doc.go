// Package krkn reads the version files of Krkn. They are Python, and nothing of them is run. Of
// each file, it reads one expression, which may contain only literals, and the name of one
// function.
//
// # Use
//
// [Parse] returns what a file undoes: the name of Krkn's function, and its arguments as fields,
// each of them checked.
//
//	rollback, err := krkn.Parse(content)
//	if err == nil && rollback.Doubt == nil { … rollback.Callable, rollback.Fields … }
//
// # Avoid
//
// Don't use the fields of a file with a Doubt, unless somebody has allowed it. Its code is not what
// Krkn writes, or it names things that Krkn would name otherwise.
//
// # Guarantees
//
//   - Exact. The expression is read as Python reads it. Anything but a literal is an error that says where
//     and why. A field that is missing, additional or of another type is an error, too.
//   - Known. Code is recognized by its SHA-256, for the whole history of Krkn: see known.go. A file that
//     was edited by hand, in any place, is not recognized.
//   - Bounded. Time and memory grow with the length of the content, and nesting is limited. Nothing outside
//     of the content is read.
package krkn
