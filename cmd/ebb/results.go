package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// finish prints a report and returns an error with the exit code.
func (s *setup) finish(report *runner.Report, output string) error {
	if err := s.print(report, output); err != nil {
		// The undo is done all the same. The exit code is the only way left to say so.
		s.log.Error(fmt.Sprintf("the results can't be printed: %v", err))
		if report.Pending()+report.Refused() == 0 {
			return outcomeError(exitFailed)
		}
	}
	for reason, n := range shared(report) {
		s.log.Error(fmt.Sprintf("%d version files failed for one reason: %s", n, reason))
	}
	s.sayTotals(report)
	s.sayKrkns(s.krkns)
	if planned(report) {
		s.log.Info(planSummary(report))
	}
	switch pending := report.Pending(); {
	case pending > 0 && report.Interrupted && pending == countNotBegun(report):
		s.log.Error(fmt.Sprintf("interrupted: %d of %d version file(s) were not begun; to go on, run: %s", pending, len(report.Results), s.again))
		return outcomeError(exitPending)
	case pending > 0:
		s.log.Error(fmt.Sprintf("%d of %d version file(s) not restored; fix the cause, then run: %s", pending+report.Refused(), len(report.Results), s.again))
		if unconfigured(report) {
			return outcomeError(exitUsage)
		}
		return outcomeError(exitPending)
	case s.krkns > 0:
		return outcomeError(exitPending)
	case report.Refused() > 0:
		s.log.Error(fmt.Sprintf("%d of %d version file(s) refused or in use", report.Refused(), len(report.Results)))
		return outcomeError(exitRefused)
	case report.Interrupted:
		return outcomeError(exitInterrupted)
	case len(report.Results) == 0:
		s.log.Info("Nothing to do: no pending version files")
	case !planned(report):
		s.log.Info("Rollback execution and cleanup completed successfully")
	case s.exitCode:
		return outcomeError(exitSomeToDo)
	}
	return nil
}

// print prints the results of a report.
func (s *setup) print(report *runner.Report, output string) error {
	if output == "json" {
		return writeJSON(s.stdout, resultsDocument{head{documentVersion, "results"}, report.Interrupted, s.resultsOf(report.Results)})
	}
	return s.printText(report)
}

func planned(report *runner.Report) bool {
	return slices.ContainsFunc(report.Results, func(x runner.Result) bool { return x.Outcome == runner.Planned })
}

// unconfigured reports whether nothing was tried because the configured connection to the cluster
// can't work.
func unconfigured(report *runner.Report) bool {
	return !slices.ContainsFunc(report.Results, func(x runner.Result) bool {
		return x.Outcome != runner.Blocked && runner.KindOf(x.Err) != runner.KindConfiguration
	})
}

// shortName returns the part of a file's name that mostly distinguishes it.
func shortName(f versions.File) string {
	return f.ScenarioType + "_…" + f.Name[max(0, strings.LastIndexByte(f.Name, '_')):]
}

// shortNames shortens the names of files: mostly to the scenario type and the random letters.
func (s *setup) shortNames(results []runner.Result) func(runner.Result) string {
	times := map[string]int{}
	for _, x := range results {
		times[shortName(x.File)]++
	}
	return func(x runner.Result) string {
		if name := shortName(x.File); x.File.ScenarioType != "" && times[name] == 1 {
			return name
		}
		return strings.TrimPrefix(x.File.Location, s.store.Location()+"/")
	}
}

// printText prints the results. On a terminal, files that a user asked for have short names. The
// log has the whole names.
func (s *setup) printText(report *runner.Report) error {
	w, color := s.stdout, s.color(s.stdout)
	location := func(x runner.Result) string { return x.File.Location }
	if console.IsTerminal(w) && s.store.Store != nil {
		location = s.shortNames(report.Results)
	}
	said := map[runner.Trouble]bool{}
	notBegun := countNotBegun(report)
	for _, x := range report.Results {
		if x.NotBegun() && notBegun >= manyFiles {
			continue
		}
		line := fmt.Sprintf("%s: %s", console.Clean(location(x)), paintOutcome(x.Outcome, color))
		trouble, general := runner.TroubleOf(x.Err)
		advice := s.resultHints(x)
		switch {
		case said[trouble]:
			line += ": as above"
			advice = nil
		case x.Err != nil:
			line += ": " + console.Clean(x.Reason())
			said[trouble] = general
		}
		if x.Integrity == versions.Edited || x.Integrity == versions.Replaced {
			line += fmt.Sprintf(" (%s)", x.Integrity)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
		if err := printActions(w, x, color); err != nil {
			return err
		}
		for _, hint := range advice {
			if _, err := fmt.Fprintln(w, "  hint: "+console.Clean(hint)); err != nil {
				return err
			}
		}
	}
	if notBegun >= manyFiles {
		_, err := fmt.Fprintf(w, "%d more version files: %s: not begun: interrupted before their turn\n", notBegun, paintOutcome(runner.Blocked, color))
		return err
	}
	return nil
}

// countNotBegun counts the files that were not begun because of an interruption.
func countNotBegun(report *runner.Report) int {
	n := 0
	for _, x := range report.Results {
		if x.NotBegun() {
			n++
		}
	}
	return n
}

// jsonResult is a result in the output of -o json.
type jsonResult struct {
	File      string             `json:"file"`
	RunUUID   string             `json:"run_uuid"`
	Outcome   string             `json:"outcome"`
	Kind      runner.Kind        `json:"kind,omitempty"` // of the error; programs decide by it
	Error     string             `json:"error,omitempty"`
	Hints     []string           `json:"hints,omitempty"`
	BlockedBy string             `json:"blocked_by,omitempty"`
	Integrity versions.SealState `json:"integrity,omitempty"` // written, edited, replaced or unsealed
	Actions   []string           `json:"actions,omitempty"`
	Changes   []builtins.Change  `json:"changes,omitempty"` // of a dry run: each object before and after the change
	Seconds   float64            `json:"seconds"`
}
