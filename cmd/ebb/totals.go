package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/runner"
)

// manyFiles is the number of files from which on a replay ends with a table: its list of results is
// then longer than a screen.
const manyFiles = 20

// worstReasons is the number of reasons in the table.
const worstReasons = 3

// paintOutcome colours an outcome by its urgency.
func paintOutcome(o runner.Outcome, color bool) string {
	const red, green, yellow, plain = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
	paint := yellow
	switch {
	case !color:
		return string(o)
	case o.Undone(), o == runner.Verified:
		paint = green
	case o == runner.Failed, o == runner.Conflict:
		paint = red
	}
	return paint + string(o) + plain
}

// sayTotals logs how many files had which outcome, how long that took, and why most of them failed.
func (s *setup) sayTotals(report *runner.Report) {
	if len(report.Results) >= manyFiles {
		s.log.Info(totals(report))
	}
}

func totals(report *runner.Report) string {
	type total struct {
		name  string
		count int
		took  time.Duration
	}
	most := func(all map[string]*total) []*total {
		var sorted []*total
		for _, t := range all {
			sorted = append(sorted, t)
		}
		slices.SortFunc(sorted, func(a, b *total) int { return cmp.Or(b.count-a.count, strings.Compare(a.name, b.name)) })
		return sorted
	}
	outcomes, reasons := map[string]*total{}, map[string]*total{}
	add := func(to map[string]*total, name string, took time.Duration) {
		if to[name] == nil {
			to[name] = &total{name: name}
		}
		to[name].count++
		to[name].took += took
	}
	for _, x := range report.Results {
		add(outcomes, string(x.Outcome), x.Took)
		if x.Err != nil && x.Outcome != runner.Blocked {
			add(reasons, x.Reason(), x.Took)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d version files:\n%-24s %8s %10s", len(report.Results), "outcome", "files", "time")
	for _, t := range most(outcomes) {
		fmt.Fprintf(&b, "\n%-24s %8d %10s", t.name, t.count, t.took.Round(10*time.Millisecond))
	}
	for i, t := range most(reasons) {
		if i == 0 {
			b.WriteString("\nmost frequent reasons:")
		}
		if i == worstReasons {
			break
		}
		fmt.Fprintf(&b, "\n%8d  %s", t.count, t.name)
	}
	return b.String()
}
