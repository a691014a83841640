// Package console prints to terminals: log lines, progress, tables and trees.
//
// Start with [NewProgress] on stderr, and give it to [NewLogger] as its writer, so that log lines
// and progress bars do not overwrite each other. Write to stderr only through it. Print text from a
// cluster, and names of files, only through the logger or [Clean].
//
// Guarantees: A log record is one write, in the form `2025-08-22 15:54:06,137 [INFO] msg`. No text
// from outside can move the cursor, change colours or look like another record. Everything here may
// be used from any goroutine. Bars are drawn on terminals only.
package console
