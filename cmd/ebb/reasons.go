package main

import (
	"maps"

	"github.com/ebb-chaos/ebb/runner"
)

// shared counts the files that failed for the same reason, where several did and the reason lies
// outside the file.
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
