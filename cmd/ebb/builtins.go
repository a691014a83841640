package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/builtins"
)

func builtinsCommand() *cli.Command {
	return &cli.Command{
		Name:      "builtins",
		Usage:     "document what scripts can call",
		UsageText: "ebb builtins [--stubs] [NAME]",
		Description: `
Without an operand it lists everything that scripts can call; with the name of a
function (k8s.get) or of a module (k8s) it documents that. --stubs prints the stubs
for an editor.

` + exitCodes,
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "stubs", Usage: "print api.star, the stubs that editors complete from"}},
		Action: documentBuiltins,
	}
}

func documentBuiltins(c *cli.Context) error {
	args, err := operands(c)
	if err != nil {
		return err
	}
	if c.Bool("stubs") {
		_, err := fmt.Fprint(c.App.Writer, builtins.API)
		return err
	}
	docs, err := builtins.Docs()
	if err != nil {
		return err
	}
	var out strings.Builder
	switch len(args) {
	case 0:
		section := ""
		for _, d := range docs {
			if d.Section != section {
				section = d.Section
				fmt.Fprintf(&out, "%s\n", section)
			}
			fmt.Fprintf(&out, "   %-24s %s\n", d.Name, d.Summary())
		}
	case 1:
		for _, d := range docs {
			if d.Name == args[0] || strings.HasPrefix(d.Name, args[0]+".") {
				fmt.Fprintf(&out, "%s\n    %s\n\n", d.Signature, strings.ReplaceAll(d.Text, "\n", "\n    "))
			}
		}
		if out.Len() == 0 {
			return &usageError{err: fmt.Errorf("there is no builtin %q", args[0]), hints: []string{"ebb builtins"}}
		}
	default:
		return &usageError{err: fmt.Errorf("got %d operands, want one name at most", len(args)), hints: []string{"ebb builtins NAME"}}
	}
	_, err = fmt.Fprint(c.App.Writer, out.String())
	return err
}
