package main

import (
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// printed VAR PATTERN puts a command that was printed into a variable: what the pattern's group matches,
// to be run as it is: exec sh -c $VAR.
func cmdPrinted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: printed VAR PATTERN")
	}
	said := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(said)
	if len(m) != 2 {
		ts.Fatalf("nothing was printed that matches %q:\n%s", args[1], said)
	}
	ts.Setenv(args[0], m[1])
}
