package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/builtins"
)

type builtinsOptions struct {
	invocation
	Stubs bool
}

func (o *builtinsOptions) flags() []cli.Flag {
	return []cli.Flag{&cli.BoolFlag{Name: "stubs", Destination: &o.Stubs, Usage: "print stubs with types, for editors and checkers of Python"}}
}

func (o *builtinsOptions) check() error {
	if len(o.operands) > 1 {
		return &usageError{err: fmt.Errorf("got %d operands, want one name at most", len(o.operands)), hints: []string{o.bare("builtins", "NAME")}}
	}
	return nil
}

func builtinsCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "builtins",
		Usage:     "document what scripts can call",
		UsageText: "ebb builtins [--stubs] [NAME]",
		Description: `
Lists all that scripts can call. With the name of a function (k8s.get) or a module
(k8s) it prints the documentation of that. --stubs prints stubs with types, for an
editor or a checker that knows Python:

   ebb builtins --stubs > __builtins__.pyi
` + exitHelp(helpDone, helpFailed, helpUsage),
	}, runBuiltins)
}

func runBuiltins(_ context.Context, o builtinsOptions) error {
	if o.Stubs {
		stubs, err := builtins.Stubs()
		if err == nil {
			_, err = fmt.Fprint(o.stdout, stubs)
		}
		return err
	}
	docs, err := builtins.Docs()
	if err != nil {
		return err
	}
	var out strings.Builder
	if len(o.operands) == 0 {
		listBuiltins(&out, docs)
	} else {
		for _, d := range docs {
			if d.Name == o.operands[0] || strings.HasPrefix(d.Name, o.operands[0]+".") {
				fmt.Fprintf(&out, "%s\n    %s\n\n", d.Signature, strings.ReplaceAll(d.Text, "\n", "\n    "))
			}
		}
		if out.Len() == 0 {
			return &usageError{err: fmt.Errorf("there is no builtin %q", o.operands[0]), hints: []string{o.bare("builtins")}}
		}
	}
	_, err = fmt.Fprint(o.stdout, out.String())
	return err
}

func listBuiltins(out *strings.Builder, docs []builtins.Doc) {
	section := ""
	for _, d := range docs {
		if d.Section != section {
			section = d.Section
			fmt.Fprintf(out, "%s\n", section)
		}
		fmt.Fprintf(out, "   %-24s %s\n", d.Name, d.Summary())
	}
}
