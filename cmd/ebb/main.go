// Command ebb runs chaos scenarios on a Kubernetes cluster and undoes them.
//
// Output: results go to standard output, logs and errors to standard error. An error is one line in
// lower case, without a full stop. It names the object or file. Hints follow, each with the next
// command to type.
package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/worker"
	"github.com/ebb-chaos/ebb/supervisor"
)

// version is the release. The build sets it.
var version = "0.1.0"

func main() {
	supervisor.Main(buildRunner)
	worker.Exit(ebb(os.Args, os.Stdout, os.Stderr))
}

// The keys of the app's metadata: the arguments and, once they are parsed, the caller.
const (
	argsKey   = "args"
	callerKey = "caller"
)

func appArgs(app *cli.App) []string {
	args, _ := app.Metadata[argsKey].([]string)
	return args
}

// ebb runs the command line and returns the exit code.
func ebb(args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	args = arrange(app, args)
	app.Metadata = map[string]any{argsKey: args}
	err := app.RunContext(context.Background(), args)
	by, ok := app.Metadata[callerKey].(*caller)
	if !ok {
		by = callerOf(args)
	}
	return by.exitCode(stderr, err)
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "ebb",
		Usage:     "chaos for Kubernetes that is always undone",
		UsageText: "ebb COMMAND [flags] [operands]",
		Description: `
Before each change, ebb writes a version file: a script, readable and editable, that
undoes the change. It is replayed when the scenario ends, fails or is interrupted.
After a kill:

   ebb list-rollback --pending       what is not restored
   ebb execute-rollback --dry-run    what restoring it would do
   ebb execute-rollback              restore it

As in Krkn, flags may also come before the command, and flags without a command
mean "run".
` + exitHelp(helpDone, helpRunFailed, helpPending, helpRefused, helpSomeToDo, helpUsage, helpInterrupted),
		Version:                   version,
		HideVersion:               true, // arrange turns --version into the command
		Writer:                    stdout,
		ErrWriter:                 stderr,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // only main exits
		OnUsageError:              onUsageError,
		Flags:                     []cli.Flag{&cli.BoolFlag{Name: "version", Aliases: []string{"v"}, Usage: "print the version"}},
		Commands: []*cli.Command{
			runCommand(),
			listCommand(),
			executeCommand(),
			execCommand(),
			showCommand(),
			editCommand(),
			verifyCommand(),
			historyCommand(),
			markCommand(),
			cleanupCommand(),
			importCommand(),
			hubCommand(),
			checkCommand(),
			newCommand(),
			testCommand(),
			keysCommand(),
			watchCommand(),
			builtinsCommand(),
			completionCommand(),
			manCommand(),
			versionCommand(),
			completeCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c)
			}
			return cli.ShowAppHelp(c)
		},
	}
	app.Description = strings.TrimSpace(app.Description)
	for _, command := range app.Commands {
		command.OnUsageError = onUsageError
		command.HideHelpCommand = true
		command.Description = strings.TrimSpace(command.Description)
	}
	return app
}

// arrange moves flags that come before the command behind it. If there are only flags, it makes
// "run" the command, as Krkn's command line has none. Without arguments, ebb runs if there is a
// configuration where Krkn has it. Otherwise it prints help.
func arrange(app *cli.App, args []string) []string {
	if len(args) > 1 && args[1] == "--" { // "--" with no flags before it
		args = append([]string{args[0]}, args[2:]...)
	}
	args = unglued(app, args)
	command := 1 // index in args
	help := false
	for command < len(args) && strings.HasPrefix(args[command], "-") {
		name, _, hasValue := strings.Cut(strings.TrimLeft(args[command], "-"), "=")
		switch takesValue, known := flagNamed(app, name); {
		case name == "help" || name == "h":
			help = true
		case name == "version" || name == "v":
			return []string{args[0], "version"}
		case !known:
			return []string{args[0], args[command]} // the parser reports it
		case takesValue && !hasValue:
			command++ // skip its value
		}
		command++
	}
	switch {
	case command < len(args):
		moved := append([]string{args[0], args[command]}, args[1:command]...)
		moved = append(moved, args[command+1:]...)
		if args[command] == "test" {
			return operandsLast(app, moved)
		}
		return moved
	case help:
		return []string{args[0], "--help"}
	case len(args) > 1:
		return append([]string{args[0], "run"}, args[1:]...)
	}
	if _, err := os.Stat(defaultConfig); err == nil {
		return []string{args[0], "run"}
	}
	return args
}

// unglued separates values from flags of one letter, as in -cFILE. Krkn's parser accepts that, too.
func unglued(app *cli.App, args []string) []string {
	all := args[:1:1]
	value := false // whether the next argument is a flag's value
	for i, arg := range args[1:] {
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		takesValue, known := flagNamed(app, name)
		switch {
		case arg == "--" && !value:
			return append(all, args[i+1:]...)
		case value || !strings.HasPrefix(arg, "-") || known || strings.HasPrefix(arg, "--") || len(arg) < 3:
			value = !value && strings.HasPrefix(arg, "-") && known && takesValue && !hasValue
			all = append(all, arg)
			continue
		}
		if takesValue, _ := flagNamed(app, arg[1:2]); takesValue {
			all = append(all, arg[:2], arg[2:])
			continue
		}
		all = append(all, arg)
	}
	return all
}

// operandsLast moves the flags of a command before its operands: a user who repeats a command adds
// flags at the end.
func operandsLast(app *cli.App, args []string) []string {
	flags, operands := slices.Clone(args[:2]), []string(nil)
	for i := 2; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			operands = append(operands, args[i:]...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			operands = append(operands, arg)
			continue
		}
		flags = append(flags, arg)
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if takesValue, _ := flagNamed(app, name); takesValue && !hasValue && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return append(flags, operands...)
}

// flagNamed looks for a flag among those of all commands.
func flagNamed(app *cli.App, name string) (takesValue, known bool) {
	for _, command := range app.Commands {
		for _, flag := range command.Flags {
			for _, own := range flag.Names() {
				if own == name {
					f, ok := flag.(cli.DocGenerationFlag)
					return ok && f.TakesValue(), true
				}
			}
		}
	}
	return false, false
}
