package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// manuals are what people read, with the commands that they paste.
var manuals = []string{"README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/*.md"}

// runElsewhere are programs of the documents that no script runs, and why not.
var runElsewhere = map[string]string{
	"ebb-sandbox": "make demo, which CI runs, starts it and asks it, as every test does",
	"kubectl":     "it is not there; TestDeploy applies what it would apply",
	"bin/.bench":  "a measurement of minutes; internal/bench has tests of its parts",
}

// shellWords need no test.
var shellWords = []string{"export", "cp", "cd", "until", "do", "done", "sleep", "kill", "source"}

// TestDocumentedCommands: each command of the documents is run by a script of testdata/script, with the
// same flags at least, and with operands if it has some. Values are the scripts' own.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	app := newApp(io.Discard, io.Discard)
	var run []typed
	for _, line := range scriptLines(t) {
		for _, words := range commandsIn(line) {
			if words[0] == "ebb" || strings.HasSuffix(words[0], "kubectl-ebb") {
				run = append(run, typedOf(app, words))
			}
		}
	}
	var makefiles []byte
	for _, file := range []string{"../../Makefile", "../../sandbox.mk"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		makefiles = append(makefiles, content...)
	}
	seen, used := 0, map[string]bool{}
	for where, line := range documentedLines(t) {
		for _, words := range commandsIn(line) {
			program := words[0]
			_, elsewhere := runElsewhere[program]
			switch {
			case program == "ebb":
				seen++
				want := typedOf(app, words)
				if !slices.ContainsFunc(run, func(of typed) bool {
					return want.isIn(of) || len(words) == 2 && of.command == want.command // the text names it
				}) {
					t.Errorf("%s: no script of testdata/script runs %q: %+v", where, words, want)
				}
			case program == "make":
				for _, target := range words[1:] {
					if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).Match(makefiles) {
						t.Errorf("%s: %q: the Makefile has no target %q", where, words, target)
					}
				}
			case elsewhere:
				used[program] = true
			case !slices.Contains(shellWords, program):
				t.Errorf("%s: %q: what runs %q?", where, words, program)
			}
		}
	}
	if seen < 40 {
		t.Errorf("found %d commands in the documents, want more", seen)
	}
	for program := range runElsewhere {
		if !used[program] {
			t.Errorf("the documents have no %q any more", program)
		}
	}
}

// typed is a command as far as a test has to have the same.
type typed struct {
	command  string
	flags    []string // by their first names; with its value if that is a choice
	operands bool
}

// isIn reports whether a script's command has all that t has.
func (t typed) isIn(of typed) bool {
	return t.command == of.command && t.operands == of.operands &&
		!slices.ContainsFunc(t.flags, func(flag string) bool { return !slices.Contains(of.flags, flag) })
}

func typedOf(app *cli.App, words []string) typed {
	args := arrange(app, words)
	if len(args) < 2 {
		return typed{command: "run"} // ebb alone
	}
	t := typed{command: args[1]}
	for i := 2; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") || args[i] == "-" {
			t.operands = true
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		takesValue, _ := flagNamed(app, name)
		if takesValue && !hasValue && i+1 < len(args) {
			i++
			value = args[i]
		}
		name = firstName(app, name)
		if name == "output" || name == "store" {
			name += "=" + value
		}
		t.flags = append(t.flags, name)
	}
	return t
}

// firstName is the name that a flag is declared with.
func firstName(app *cli.App, name string) string {
	for _, command := range app.Commands {
		for _, flag := range command.Flags {
			if slices.Contains(flag.Names(), name) {
				return flag.Names()[0]
			}
		}
	}
	return name
}

// documentedLines are the commands of the documents, by where they are: lines of a console after the
// prompt, lines of blocks without a language, and ebb's commands in the text.
func documentedLines(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range manuals {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %q", pattern, err, files)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			language, inBlock := "", false
			for i, line := range strings.Split(string(content), "\n") {
				where := fmt.Sprintf("%s:%d", filepath.Base(file), i+1)
				fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
				command, prompted := strings.CutPrefix(strings.TrimSpace(line), "$ ")
				switch {
				case isFence:
					language, inBlock = fence, !inBlock
				case inBlock && prompted, inBlock && language == "" && plainCommand.MatchString(line):
					found[where] = command
				case !inBlock:
					for j, m := range spanned.FindAllStringSubmatch(line, -1) {
						found[fmt.Sprintf("%s(%d)", where, j)] = m[1]
					}
				}
			}
		}
	}
	return found
}

var (
	plainCommand = regexp.MustCompile(`^(ebb|kubectl|make|bin/\S+) `)
	spanned      = regexp.MustCompile("`((?:[A-Z_]+=\\S+ )?ebb [^`]+)`")
)

// scriptLines are the lines of scripts that run something.
func scriptLines(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	runs := regexp.MustCompile(`^(?:! )?(?:exec|exit \S+|start \S+) (.*)$`)
	lines := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if m := runs.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				lines[m[1]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(lines))
}

// commandsIn are the commands of a line of a shell, as words without what the shell itself uses.
func commandsIn(line string) (all [][]string) {
	var words []string
	end := func() {
		for len(words) > 0 && assignment.MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) > 2 && words[0] == "sh" && words[1] == "-c" {
			all = append(all, commandsIn(strings.Join(words[2:], " "))...)
		} else if len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	for _, m := range shellWord.FindAllString(line, -1) {
		switch {
		case strings.HasPrefix(m, "#"):
			end()
			return all
		case m == "&&", m == "||", m == "|", m == ";", m == "&":
			end()
		case strings.Contains("0123456789>", m[:1]) && strings.Contains(m, ">"), m == "<(", m == ")":
		default:
			// A name with a slash is one of the script's own files, a quote is the shell's.
			words = append(words, strings.NewReplacer("'", "", `"`, "").Replace(m))
		}
	}
	end()
	return all
}

var (
	assignment = regexp.MustCompile(`^[A-Z_]+=`)
	shellWord  = regexp.MustCompile(`#.*|&&|\|\||[;|&]|<\(|\)|[0-9]?>\S*(?: \S+)?|(?:'[^']*'|"[^"]*"|[^\s'";|&()#]|\S#)+`)
)
