package main

import (
	"errors"
	"maps"

	"github.com/ebb-chaos/ebb/runner"
)

// general returns what keeps a file from being undone that would keep any other, too: a
// server that is away, refused credentials. "" where it is the file's own trouble.
func general(err error) string {
	var request interface{ General() string }
	if !errors.As(err, &request) {
		return ""
	}
	return request.General()
}

// shared counts the files that failed for the same general reason, where there are several.
func shared(report *runner.Report) map[string]int {
	reasons := map[string]int{}
	for _, x := range report.Results {
		if reason := general(x.Err); reason != "" {
			reasons[reason]++
		}
	}
	maps.DeleteFunc(reasons, func(_ string, n int) bool { return n < 2 })
	return reasons
}
