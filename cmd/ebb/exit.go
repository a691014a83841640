package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/runner"
)

// The exit codes. If several apply, the first of usage, pending, refused, interrupted and failed
// counts. A command that has changed something never exits with exitUsage.
const (
	exitDone        = 0
	exitFailed      = 1
	exitPending     = 3
	exitRefused     = 4
	exitSomeToDo    = 5
	exitUsage       = 64 // as in sysexits.h; Krkn's own 2 means critical alerts
	exitInterrupted = 130
)

// exitLine describes an exit code in a help text.
type exitLine struct {
	code int
	text string
}

// What the exit codes mean. A help text lists those that its command can return.
var (
	helpDone        = exitLine{exitDone, "done"}
	helpUndone      = exitLine{exitDone, "done; everything that was asked for is restored"}
	helpRunFailed   = exitLine{exitFailed, "a scenario failed; the cluster is restored"}
	helpFailed      = exitLine{exitFailed, "something could not be read or written"}
	helpInvalid     = exitLine{exitFailed, "a file has errors, or could not be read"}
	helpPending     = exitLine{exitPending, "something is not restored"}
	helpRefused     = exitLine{exitRefused, "refused: in use, not safe, another cluster, an overlap"}
	helpSomeToDo    = exitLine{exitSomeToDo, "with --exit-code: there is something to restore"}
	helpUsage       = exitLine{exitUsage, "usage or configuration; nothing was done"}
	helpInterrupted = exitLine{exitInterrupted, "interrupted; what was begun is restored, if anything was"}
)

func exitHelp(lines ...exitLine) string {
	var b strings.Builder
	b.WriteString("\nExit codes:")
	for _, l := range lines {
		fmt.Fprintf(&b, "\n   %-4d %s", l.code, l.text)
	}
	return b.String()
}

// outcomeError is the exit code of a command that finished. Everything that a person needs to know
// was printed before.
type outcomeError int

func (e outcomeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode prints err and returns its exit code.
func (c *caller) exitCode(stderr io.Writer, err error) int {
	var outcome outcomeError
	switch {
	case err == nil, errors.As(err, &outcome):
	case errors.Is(err, context.Canceled):
		c.report(stderr, errors.New("interrupted before anything was done"))
	default:
		c.report(stderr, err)
	}
	return exitCodeOf(err)
}

// exitCodeOf returns the exit code of an error. It is the only place that decides about it.
func exitCodeOf(err error) int {
	var outcome outcomeError
	var untried *untriedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &outcome):
		return int(outcome)
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case runner.IsRefused(err):
		return exitRefused
	case isUsage(err):
		return exitUsage
	case errors.As(err, &untried):
		return exitPending
	}
	return exitFailed
}

// untriedError says why a replay could not begin. It is then unknown whether anything is pending,
// and nobody may believe that all is restored.
type untriedError struct{ error }

func (e *untriedError) Unwrap() error { return e.error }

func isUsage(err error) bool {
	var usage *usageError
	var kubeconfig *kube.ConfigError
	var unknown *unknownTypeError
	if errors.As(err, &usage) || errors.As(err, &unknown) || errors.As(err, &kubeconfig) {
		return true
	}
	switch runner.KindOf(err) {
	case runner.KindConfiguration, runner.KindUnknownRun, runner.KindUnsupported, runner.KindScenario:
		return true
	}
	return false
}

// report prints an error and its hints.
func (c *caller) report(stderr io.Writer, err error) {
	for i, line := range strings.Split(err.Error(), "\n") {
		prefix := "ebb: "
		if i > 0 {
			prefix = "     "
		}
		fmt.Fprintln(stderr, prefix+console.Clean(line))
	}
	for _, hint := range c.hints(err) {
		fmt.Fprintln(stderr, "hint: "+console.Clean(hint))
	}
}
