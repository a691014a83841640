// Package htmlreport writes what came of a run or a replay as one HTML page, for people who read it
// later and elsewhere.
//
// Use [Write] with a filled-in [Report]. Avoid filling in text that is markup: all of it is escaped.
// Promised: the page needs nothing but itself, neither a network nor a script; it can be read in
// light and dark, printed, and used with the keyboard alone; and its size is bounded, however long the
// run was.
package htmlreport
