package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/runner"
)

// commonFlags are on every command that reads a configuration.
func commonFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		&cli.StringFlag{Name: "config", Value: "config/config.yaml", Usage: "Krkn's configuration `FILE`"},
		&cli.StringFlag{Name: "kubeconfig", Usage: "kubeconfig `FILE`, in place of kubeconfig_path"},
		&cli.StringFlag{Name: "context", Usage: "`CONTEXT` of the kubeconfig"},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text or json"},
		&cli.StringFlag{Name: "log-level", Value: "info", Usage: "debug, info, warning or error"},
		&cli.BoolFlag{Name: "no-color", Usage: "no colours; NO_COLOR does the same"},
	)
}

// selectionFlags filter by run and by scenario type.
func selectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "run_uuid", Aliases: []string{"r"}, Usage: "only the run with this `UUID`"},
		&cli.StringFlag{Name: "scenario_type", Aliases: []string{"s"}, Usage: "only this scenario `TYPE`"},
	}
}

// timeFlags bound what undoing may take.
func timeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "how long to wait for an API server that is down, in all"},
		&cli.DurationFlag{Name: "file-timeout", Value: runner.DefaultFileTimeout, Usage: "how long one file's undo, and then its verify, may take"},
		&cli.DurationFlag{Name: "grace", Value: runner.DefaultGrace, Usage: "how long to go on undoing after a signal"},
	}
}

// noOperands refuses operands. A flag after an operand would be read as one.
func noOperands(c *cli.Context) error {
	if !c.Args().Present() {
		return nil
	}
	return &usageError{
		err:   fmt.Errorf("%s takes no operands, got %q", c.Command.Name, c.Args().Slice()),
		hints: []string{"ebb " + c.Command.Name + " --help"},
	}
}

// operands returns the operands and refuses flags among them, which the command
// line parser does not see there.
func operands(c *cli.Context) ([]string, error) {
	args := c.Args().Slice()
	for i, arg := range args {
		if len(arg) > 1 && arg[0] == '-' && i > 0 {
			order := append([]string{"ebb", c.Command.Name}, append(args[i:], args[:i]...)...)
			return nil, &usageError{
				err:   fmt.Errorf("flag %q comes after an operand, where flags are not read", arg),
				hints: []string{strings.Join(order, " ")},
			}
		}
	}
	return args, nil
}

func positive(c *cli.Context, names ...string) error {
	for _, name := range names {
		if c.Duration(name) <= 0 {
			return &usageError{err: fmt.Errorf("--%s: got %s, want more than 0", name, c.Duration(name))}
		}
	}
	return nil
}
