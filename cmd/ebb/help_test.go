package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestHelp reads all help texts: they fit a terminal, and list exit codes that are known. It is not
// parallel, since the flag --help is one variable for all commands in this process.
func TestHelp(t *testing.T) {
	app := newApp(nil, nil)
	commands := []string{""}
	for _, c := range app.VisibleCommands() {
		commands = append(commands, c.Name)
	}
	for _, name := range commands {
		var out, errs bytes.Buffer
		args := slices.DeleteFunc([]string{"ebb", name, "--help"}, func(arg string) bool { return arg == "" })
		if code := ebb(args, &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("%q: got exit code %d and %q", args, code, errs.String())
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > helpWidth || strings.TrimRight(line, " ") != line {
				t.Errorf("%q: a line of %d characters, want %d at most and none after the text: %q", args, n, helpWidth, line)
			}
		}
		if name != "version" && name != "help" && !strings.Contains(out.String(), fmt.Sprintf("\n   %-4d %s\n", exitUsage, helpUsage.text)) {
			t.Errorf("%q does not list exit code %d:\n%s", args, exitUsage, &out)
		}
	}
}

// TestArrange holds what Krkn's command lines become.
func TestArrange(t *testing.T) {
	t.Parallel()
	app := newApp(nil, nil)
	for in, want := range map[string]string{
		"list-rollback -r a":                           "list-rollback -r a",
		"--config c list-rollback -r a":                "list-rollback --config c -r a",
		"-c c -r a -s t execute-rollback":              "execute-rollback -c c -r a -s t",
		"--config=c --no-color list-rollback":          "list-rollback --config=c --no-color",
		"-config c":                                    "run -config c",
		"-c c":                                         "run -c c",
		"-c":                                           "run -c",
		"--config c --help":                            "--help",
		"--config c list-rollback --help":              "list-rollback --config c --help",
		"--help":                                       "--help",
		"--help list-rollback":                         "list-rollback --help",
		"--version":                                    "version",
		"-v":                                           "version",
		"--nonsense list-rollback":                     "--nonsense",
		"--config list-rollback list-rollback":         "list-rollback --config list-rollback",
		"--config c unknown --pending":                 "unknown --config c --pending",
		"exec --config c file":                         "exec --config c file",
		"-c c -d True -o k.report":                     "run -c c -d True -o k.report",
		"--debug True -r a list-rollback":              "list-rollback --debug True -r a",
		"-- list-rollback -r a":                        "list-rollback -r a",
		"test a.star -c c --yes":                       "test -c c --yes a.star",
		"test a.star -- -c":                            "test a.star -- -c",
		"-c c test a.star -o json":                     "test -c c -o json a.star",
		"--log-level debug --dry-run execute-rollback": "execute-rollback --log-level debug --dry-run",
	} {
		got := strings.Join(arrange(app, strings.Fields("ebb "+in))[1:], " ")
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
