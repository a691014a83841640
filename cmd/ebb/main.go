// Command ebb runs chaos scenarios on a Kubernetes cluster and undoes them.
//
// How ebb speaks: results go to standard output, logs and errors to standard
// error. An error is one line that names the thing, in lower case and without a
// full stop, and then hints, each with the next command to type.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

// version is the release; the build sets it.
var version = "0.1.0"

func main() { os.Exit(ebb(os.Args, os.Stdout, os.Stderr)) }

// argsKey is where an app keeps the arguments that it was called with.
const argsKey = "args"

// ebb runs the command line and returns the exit code.
func ebb(args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	app.Metadata = map[string]any{argsKey: args}
	err := app.RunContext(context.Background(), args)
	return exitCode(stderr, err)
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "ebb",
		Usage:     "chaos for Kubernetes that always finds its way back",
		UsageText: "ebb COMMAND [flags] [operands]",
		Description: strings.TrimSpace(`
Before every change, ebb writes down how to undo it: a version file, readable and
editable. When a scenario ends, fails, is interrupted or killed, that file is
replayed. After a kill:

   ebb list-rollback --pending       what is still to be undone
   ebb execute-rollback --dry-run    what undoing it would do
   ebb execute-rollback              undo it

` + exitCodes),
		Version:                   version,
		HideVersion:               true,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		DisableSliceFlagSeparator: true,
		EnableBashCompletion:      true,
		ExitErrHandler:            func(*cli.Context, error) {}, // main alone exits
		OnUsageError:              onUsageError,
		Commands: []*cli.Command{
			runCommand(),
			listCommand(),
			executeCommand(),
			execCommand(),
			historyCommand(),
			markCommand(),
			checkCommand(),
			builtinsCommand(),
			completionCommand(),
			versionCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = onUsageError
		command.HideHelpCommand = true
		command.Description = strings.TrimSpace(command.Description)
	}
	return app
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	return &usageError{err: err, hints: []string{"ebb " + strings.TrimSpace(c.Command.Name+" --help")}}
}

func unknownCommand(c *cli.Context) error {
	name := c.Args().First()
	e := &usageError{err: fmt.Errorf("unknown command %q", name), hints: []string{"ebb --help"}}
	for _, suggestion := range c.App.Commands {
		if strings.HasPrefix(suggestion.Name, name) || strings.HasSuffix(suggestion.Name, name) || strings.ReplaceAll(name, "_", "-") == suggestion.Name {
			e.hints = append([]string{"ebb " + suggestion.Name}, e.hints...)
		}
	}
	return e
}
