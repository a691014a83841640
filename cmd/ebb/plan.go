package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
)

// printActions prints what a plan would do with a file. Each change is a line, followed by the diff
// of the object.
func printActions(w io.Writer, x runner.Result, color bool) error {
	if x.Outcome == runner.Planned && len(x.Actions) == 0 {
		_, err := fmt.Fprintln(w, "  nothing: it is restored already")
		return err
	}
	for i, action := range x.Actions {
		if _, err := fmt.Fprintln(w, "  "+console.Clean(action)); err != nil {
			return err
		}
		if i >= len(x.Changes) {
			continue // the version file says that this is restored already
		}
		lines, err := diff(x.Changes[i])
		if err != nil {
			return err
		}
		for _, line := range lines {
			if _, err := fmt.Fprintln(w, "    "+paint(line, color)); err != nil {
				return err
			}
		}
	}
	return nil
}

// paint colours a line of a diff.
func paint(line string, color bool) string {
	const red, green, plain = "\x1b[31m", "\x1b[32m", "\x1b[0m"
	switch {
	case color && strings.HasPrefix(line, "-"):
		return red + line + plain
	case color && strings.HasPrefix(line, "+"):
		return green + line + plain
	}
	return line
}

// planSummary counts the changes of a plan, and the files that it would not undo.
func planSummary(report *runner.Report) string {
	var verbs, outcomes []string
	count := map[string]int{}
	add := func(order *[]string, word string) {
		if count[word]++; count[word] == 1 {
			*order = append(*order, word)
		}
	}
	for _, x := range report.Results {
		if x.Outcome != runner.Planned {
			add(&outcomes, string(x.Outcome))
			continue
		}
		if len(x.Changes) == 0 {
			add(&outcomes, string(runner.AlreadyRestored))
		}
		for _, c := range x.Changes {
			add(&verbs, planVerb(c))
		}
	}
	slices.Sort(verbs)
	slices.Sort(outcomes)
	var parts []string
	for _, word := range slices.Concat(verbs, outcomes) {
		parts = append(parts, fmt.Sprintf("%d %s", count[word], word))
	}
	return "Plan: " + strings.Join(parts, ", ")
}

func planVerb(c builtins.Change) string {
	switch c.Verb {
	case "create", "delete", "restore":
		return "to " + c.Verb
	case "exec":
		return "command to run"
	}
	return "to change"
}
