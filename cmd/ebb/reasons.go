package main

import (
	"maps"

	"github.com/ebb-chaos/ebb/runner"
)

// shared counts the files that failed for one and the same reason that is not their own, where
// there are several.
func shared(report *runner.Report) map[runner.Trouble]int {
	troubles := map[runner.Trouble]int{}
	for _, x := range report.Results {
		if trouble, ok := runner.TroubleOf(x.Err); ok {
			troubles[trouble]++
		}
	}
	maps.DeleteFunc(troubles, func(_ runner.Trouble, n int) bool { return n < 2 })
	return troubles
}
