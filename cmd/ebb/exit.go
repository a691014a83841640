package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
)

// The exit codes. Where several apply, the first of usage, pending, refused,
// interrupted and failed is taken.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPending     = 3
	exitRefused     = 4
	exitInterrupted = 130
)

const exitCodes = `Exit codes:
   0    done
   1    a scenario failed and the cluster was restored
   2    usage or configuration: nothing was done
   3    something is not restored
   4    refused: in use, not safe, another cluster, an overlap
   130  interrupted and restored`

// usageError is a mistake in the command line or the configuration.
type usageError struct {
	err   error
	hints []string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// outcomeError is what a finished command has to say with its exit code. Whatever
// a person needs to know was printed before.
type outcomeError int

func (e outcomeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode prints err and returns its exit code. It is the only place that
// decides about either.
func exitCode(stderr io.Writer, err error) int {
	var outcome outcomeError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &outcome):
		return int(outcome)
	case errors.Is(err, context.Canceled):
		report(stderr, errors.New("interrupted before anything was done"))
		return exitInterrupted
	}
	report(stderr, err)
	var scenario *scenarioError
	switch {
	case runner.IsRefused(err):
		return exitRefused
	case errors.As(err, &scenario):
		return exitFailed
	}
	return exitUsage
}

// scenarioError is a command that could not do its work, through no fault of its usage.
type scenarioError struct{ err error }

func (e *scenarioError) Error() string { return e.err.Error() }
func (e *scenarioError) Unwrap() error { return e.err }

// report prints an error and its hints.
func report(stderr io.Writer, err error) {
	for i, line := range strings.Split(err.Error(), "\n") {
		prefix := "ebb: "
		if i > 0 {
			prefix = "     "
		}
		fmt.Fprintln(stderr, prefix+console.Clean(line))
	}
	for _, hint := range hints(err) {
		fmt.Fprintln(stderr, "hint: "+console.Clean(hint))
	}
}
