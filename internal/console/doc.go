// Package console is what a person at a terminal sees: log lines, progress, the tree of version
// files.
//
// Start with [NewProgress] on stderr and give it to [NewLogger] as its writer: then log lines and
// progress bars don't garble one another. Don't write to stderr past it, and don't print text from
// a cluster or a file's name other than through the logger, [Clean] or [Quote].
//
// Promised: a log record is one write, in the shape `2025-08-22 15:54:06,137 [INFO] msg`; no text
// from outside can move the cursor, change colours or pass for another record; everything here may
// be used from any goroutine; bars are drawn on terminals only.
package console
