package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// helpWidth is the default width of a terminal.
const helpWidth = 80

// The templates of the library don't break lines.
func init() {
	cli.HelpPrinter = func(w io.Writer, _ string, data any) {
		text := ""
		switch help := data.(type) {
		case *cli.App:
			text = appHelp(help)
		case *cli.Command:
			text = commandHelp(help)
		}
		// If the help text can't be written, no message about that can be either.
		_, _ = io.WriteString(w, text)
	}
}

func appHelp(app *cli.App) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\nUsage:\n   %s\n\n", app.Name, app.Usage, app.UsageText)
	helpText(&b, app.Description)
	b.WriteString("\nCommands:\n")
	for _, c := range app.VisibleCommands() {
		helpEntry(&b, c.Name, c.Usage, 22)
	}
	b.WriteString("\nFlags:\n")
	helpFlags(&b, app.VisibleFlags())
	b.WriteString("\nOf a command: ebb COMMAND --help\n")
	return b.String()
}

func commandHelp(c *cli.Command) string {
	var b strings.Builder
	usage := c.UsageText
	if usage == "" {
		usage = "ebb " + c.Name
	}
	fmt.Fprintf(&b, "ebb %s - %s\n\nUsage:\n   %s\n", c.Name, c.Usage, usage)
	if c.Description != "" {
		b.WriteString("\n")
		helpText(&b, c.Description)
	}
	if flags := c.VisibleFlags(); len(flags) > 0 {
		b.WriteString("\nFlags:\n")
		helpFlags(&b, flags)
	}
	return b.String()
}

func helpFlags(b *strings.Builder, flags []cli.Flag) {
	for _, flag := range flags {
		if name, usage, ok := flagHelp(flag); ok {
			helpEntry(b, name, usage, 30)
		}
	}
}

// flagHelp returns a flag as it is typed, and its description.
func flagHelp(flag cli.Flag) (name, usage string, ok bool) {
	f, ok := flag.(cli.DocGenerationFlag)
	if !ok {
		return "", "", false
	}
	var names []string
	for _, name := range flag.Names() {
		names = append([]string{dashed(name)}, names...)
	}
	usage, value := unquote(f.GetUsage())
	name = strings.Join(names, ", ")
	if f.TakesValue() {
		if value == "" {
			value = "VALUE"
		}
		name += " " + value
	}
	if text := f.GetDefaultText(); text != "" && f.TakesValue() {
		usage += " (default: " + strings.Trim(text, `"`) + ")"
	}
	return name, usage, true
}

// unquote removes the back quotes that mark the name of a flag's value in a usage text.
func unquote(usage string) (plain, value string) {
	before, rest, _ := strings.Cut(usage, "`")
	value, after, quoted := strings.Cut(rest, "`")
	if !quoted {
		return usage, ""
	}
	return before + value + after, value
}

// helpText writes paragraphs, and breaks them into lines. Indented lines stay as they are.
func helpText(b *strings.Builder, text string) {
	var paragraph []string
	flush := func() {
		breakLines(b, "", strings.Join(paragraph, " "), 0)
		paragraph = nil
	}
	for _, line := range strings.Split(text, "\n") {
		if line != "" && line[0] != ' ' {
			paragraph = append(paragraph, line)
			continue
		}
		if len(paragraph) > 0 {
			flush()
		}
		b.WriteString(line + "\n")
	}
	if len(paragraph) > 0 {
		flush()
	}
}

// helpEntry writes a name and, beside it, a text that is broken into lines. indent is the column of
// the text.
func helpEntry(b *strings.Builder, name, text string, indent int) {
	line := "   " + name
	if len(line) > indent-2 {
		b.WriteString(line + "\n")
		line = ""
	}
	breakLines(b, line+strings.Repeat(" ", indent-len(line)), text, indent)
}

// breakLines writes the words of a text after the beginning of the first line.
func breakLines(b *strings.Builder, line, text string, indent int) {
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > helpWidth {
			b.WriteString(line + "\n")
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
