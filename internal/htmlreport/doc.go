// Package htmlreport writes the result of a run or a replay as one HTML page.
//
// Use [Write] with a filled-in [Report]. All text is escaped, so markup in it is shown as text.
//
// Guarantees: the page loads nothing from a network and runs no script. It can be read in light and
// dark, printed, and used with the keyboard alone. Its size is limited, however long the run was.
package htmlreport
