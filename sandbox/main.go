// Ebb-sandbox runs a whole Kubernetes control plane in one process, for ebb's
// demo and tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler
// and kwok's simulated nodes.
//
// Use first: "ebb-sandbox up --kubeconfig FILE", then wait for the line "ready".
//
// Avoid: running it where others share the machine's loopback and may not know
// the API server's port, and running two clusters in one process; the
// components keep process-wide state, so a second cluster is a second process.
//
// Promised: "ready" is printed once and only when pods can be made and
// scheduled; a sandbox without --data leaves no file, process or port behind
// when it is told to end; it listens on 127.0.0.1 only.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
)

const overview = `ebb-sandbox runs a Kubernetes control plane in one process.

Usage:
  ebb-sandbox up --kubeconfig FILE [flags]               start a cluster, print "ready", run until told to end
  ebb-sandbox user --kubeconfig ADMIN --name NAME --out FILE [flags]
                                                         make a user with few rights
  ebb-sandbox get RESOURCE --kubeconfig FILE             list objects
  ebb-sandbox version                                    print what it is made of

"ebb-sandbox COMMAND --help" lists a command's flags.

Exit codes: 0 done, or ended by a signal as asked; 1 failed; 2 wrong usage.
`

// Messages on stderr are lower case, without a full stop: the error, and then the hints, one a
// line.

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout, stderr)
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		return exitDone
	}
	fmt.Fprintf(stderr, "ebb-sandbox: %v\n", err)
	var h *hintError
	if errors.As(err, &h) {
		fmt.Fprintf(stderr, "ebb-sandbox: hint: %s\n", h.hint)
	}
	var u *usageError
	if errors.As(err, &u) {
		return exitUsage
	}
	return exitFailed
}

func dispatch(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return withHint(&usageError{errors.New("no command given")}, "ebb-sandbox --help")
	}
	switch command, rest := args[0], args[1:]; command {
	case "up":
		return runUp(rest, stdout, stderr)
	case "user":
		return runUser(rest, stdout)
	case "get":
		return runGet(rest, stdout)
	case "version":
		return runVersion(rest, stdout)
	case "help", "--help", "-h":
		_, err := io.WriteString(stdout, overview)
		return err
	default:
		return withHint(&usageError{fmt.Errorf("unknown command %q, want up, user, get or version", command)}, "ebb-sandbox --help")
	}
}

// parseFlags parses the arguments of a command. No command takes operands.
func parseFlags(flags *pflag.FlagSet, args []string, usage string, stdout io.Writer) error {
	// pflag would print the error and the usage itself; run prints ours, once.
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	flags.Usage = func() {}
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		if _, werr := fmt.Fprintf(stdout, "%s\nFlags:\n%s", usage, flags.FlagUsages()); werr != nil {
			return werr
		}
		return err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected operand %q", flags.Arg(0))
	}
	if err != nil {
		return withHint(&usageError{fmt.Errorf("%s: %w", flags.Name(), err)}, "ebb-sandbox "+flags.Name()+" --help")
	}
	return nil
}

// requireFlags refuses an empty value like a missing one: an unset shell variable must not lead to
// a file named "".
func requireFlags(flags *pflag.FlagSet, names ...string) error {
	for _, name := range names {
		if flags.Lookup(name).Value.String() == "" {
			return withHint(&usageError{fmt.Errorf("%s: --%s is required", flags.Name(), name)}, "ebb-sandbox "+flags.Name()+" --help")
		}
	}
	return nil
}

// usageError is an error in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// hintError is an error with the next thing to type or change.
type hintError struct {
	err  error
	hint string
}

func withHint(err error, hint string) error { return &hintError{err, hint} }

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }
