package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
)

type manOptions struct {
	invocation
	Dir string
}

func (o *manOptions) flags() []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "dir", Destination: &o.Dir, Usage: "write the pages of all commands into `DIR`"}}
}

func (o *manOptions) check() error {
	if len(o.operands) > 1 || len(o.operands) == 1 && o.Dir != "" {
		return fmt.Errorf("got the operands %q and the directory %q, want one command, or a directory", o.operands, o.Dir)
	}
	return nil
}

func manCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "man",
		Usage:     "print the manual page of a command",
		UsageText: "ebb man [COMMAND]\n   ebb man --dir DIR",
		Description: `
Prints the manual page of a command, or of ebb itself, made of its help text:

   ebb man execute-rollback | man -l -

With --dir it writes all pages, for a package.
` + exitHelp(helpDone, helpFailed, helpUsage),
	}, runMan)
}

func runMan(_ context.Context, o manOptions) error {
	app := newApp(io.Discard, io.Discard)
	if o.Dir == "" {
		page := manApp(app)
		if len(o.operands) == 1 {
			c := app.Command(o.operands[0])
			if c == nil || c.Hidden {
				return &usageError{err: fmt.Errorf("unknown command %q", o.operands[0]), hints: []string{o.bare("--help")}}
			}
			page = manPage(c)
		}
		_, err := io.WriteString(o.stdout, page)
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	errs := []error{writeText(filepath.Join(o.Dir, "ebb.1"), manApp(app))}
	for _, c := range app.VisibleCommands() {
		errs = append(errs, writeText(filepath.Join(o.Dir, "ebb-"+c.Name+".1"), manPage(c)))
	}
	return errors.Join(errs...)
}

func writeText(path, text string) error {
	return writeFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func manApp(app *cli.App) string {
	m := newManual("ebb", app.Usage)
	m.synopsis(app.UsageText)
	m.description(app.Description)
	m.section("COMMANDS")
	for _, c := range app.VisibleCommands() {
		m.entry("ebb-"+c.Name+"(1)", c.Usage)
	}
	return m.String()
}

func manPage(c *cli.Command) string {
	m := newManual("ebb-"+c.Name, c.Usage)
	m.synopsis(c.UsageText)
	m.description(c.Description)
	if flags := c.VisibleFlags(); len(flags) > 0 {
		m.section("OPTIONS")
		for _, flag := range flags {
			if name, usage, ok := flagHelp(flag); ok {
				m.entry(name, usage)
			}
		}
	}
	m.section("SEE ALSO")
	m.text("ebb(1)")
	return m.String()
}

// manual is a page in the man macros of roff.
type manual struct{ strings.Builder }

func newManual(name, usage string) *manual {
	m := &manual{}
	fmt.Fprintf(m, ".TH %s 1 \"\" \"ebb %s\"\n", strings.ToUpper(name), roff(version))
	m.WriteString(".ad l\n.nh\n") // no hyphenation, left-aligned: keep flags and paths whole
	m.section("NAME")
	m.text(name + " - " + usage)
	return m
}

func (m *manual) section(name string) { fmt.Fprintf(m, ".SH %s\n", name) }

func (m *manual) text(line string) { m.WriteString(roff(line) + "\n") }

func (m *manual) synopsis(usage string) {
	m.section("SYNOPSIS")
	m.WriteString(".PD 0\n")
	for line := range strings.SplitSeq(usage, "\n") {
		m.WriteString(".HP 4\n")
		m.text(strings.TrimSpace(line))
	}
	m.WriteString(".PD\n")
}

// description writes paragraphs. Indented lines of a help text stay as they are. The exit codes get
// a section of their own.
func (m *manual) description(text string) {
	m.section("DESCRIPTION")
	verbatim := false
	keep := func(on bool) {
		if on != verbatim {
			m.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[on])
		}
		verbatim = on
	}
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "Exit codes:":
			keep(false)
			m.section("EXIT STATUS")
		case line == "":
			if !verbatim {
				m.WriteString(".PP\n")
			}
		case strings.HasPrefix(line, " "):
			keep(true)
			m.text(line)
		default:
			if verbatim {
				keep(false)
				m.WriteString(".PP\n")
			}
			m.text(line)
		}
	}
	keep(false)
}

func (m *manual) entry(name, usage string) {
	fmt.Fprintf(m, ".TP\n\\fB%s\\fR\n", roff(name))
	m.text(usage)
}

// roff escapes a line of text.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}
