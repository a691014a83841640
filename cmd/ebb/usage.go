package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/suggest"
)

// usageError is an error in the command line or the configuration, found before anything was done.
type usageError struct {
	err   error
	hints []string
}

func (e *usageError) Error() string   { return e.err.Error() }
func (e *usageError) Unwrap() error   { return e.err }
func (e *usageError) Hints() []string { return e.hints }

// onUsageError rewords the errors of the command line's parser.
func onUsageError(c *cli.Context, err error, _ bool) error {
	by := callerOf(appArgs(c.App))
	help := []string{by.bare("--help")}
	if c.Command.Name != c.App.Name {
		help = []string{by.bare(c.Command.Name, "--help")}
	}
	if m := badValue.FindStringSubmatch(err.Error()); m != nil {
		return &usageError{err: fmt.Errorf("%s: got %s, want %s", dashed(m[2]), m[1], wantedValue(c.Command.Flags, m[2])), hints: help}
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		return &usageError{err: fmt.Errorf("%s: got no value, want one", dashed(strings.TrimLeft(name, "-"))), hints: help}
	}
	name, undefined := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !undefined {
		return &usageError{err: err, hints: help}
	}
	if typed := strings.TrimLeft(name, "-"); slices.Contains(scoreFlags, typed) {
		return &usageError{err: fmt.Errorf("unknown flag %q: %s", dashed(typed), noScores), hints: by.scoreHints()}
	}
	flags := c.Command.Flags
	if c.Command.Name == c.App.Name {
		flags = nil // before the command, the flags of all commands are allowed
		for _, command := range c.App.Commands {
			flags = append(flags, command.Flags...)
		}
	}
	var known []string
	for _, flag := range flags {
		if v, ok := flag.(cli.VisibleFlag); ok && v.IsVisible() {
			known = append(known, flag.Names()...)
		}
	}
	text := fmt.Sprintf("unknown flag %q", dashed(strings.TrimLeft(name, "-")))
	if meant := nearest(name, known); meant != "" {
		text += fmt.Sprintf("; did you mean %q?", dashed(meant))
	}
	return &usageError{err: fmt.Errorf("%s", text), hints: help}
}

// badValue matches the parser's message about a value of the wrong type.
var badValue = lazyregexp.New(`^invalid value (".*?") for flag -([a-zA-Z_-]+): `)

// wantedValue describes the values that a flag takes.
func wantedValue(flags []cli.Flag, name string) string {
	for _, flag := range flags {
		if !slices.Contains(flag.Names(), name) {
			continue
		}
		switch flag.(type) {
		case *cli.DurationFlag:
			return "a duration such as 90s or 5m"
		case *cli.IntFlag:
			return "a whole number"
		}
	}
	return "another value"
}

// dashed returns a flag as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// nearest returns the name that was probably meant. A single letter resembles every other, so it
// has none.
func nearest(name string, known []string) string {
	long := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return len(k) == 1 })
	return suggest.Nearest(name, long)
}

func unknownCommand(c *cli.Context) error {
	name := c.Args().First()
	by := callerOf(appArgs(c.App))
	if name == scoreCommand {
		return &usageError{err: fmt.Errorf("unknown command %q: %s", name, noScores), hints: by.scoreHints()}
	}
	var known []string
	for _, command := range c.App.VisibleCommands() {
		known = append(known, command.Name)
	}
	e := &usageError{err: fmt.Errorf("unknown command %q", name)}
	if meant := nearest(name, known); meant != "" {
		e.err = fmt.Errorf("unknown command %q; did you mean %q?", name, meant)
		e.hints = append(e.hints, by.bare(meant))
	}
	for _, k := range known {
		if (strings.HasPrefix(k, name) || strings.HasSuffix(k, name)) && !slices.Contains(e.hints, by.bare(k)) {
			e.hints = append(e.hints, by.bare(k))
		}
	}
	e.hints = append(e.hints, by.bare("--help"))
	return e
}
