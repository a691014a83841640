package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// completionHome is a directory with a configuration, two executions and a directory of files.
func completionHome(t *testing.T) (dir, pending string) {
	t.Helper()
	dir = t.TempDir()
	execution := filepath.Join(dir, "versions of it", "1755488223093251001-run-one")
	if err := os.MkdirAll(execution, 0o700); err != nil {
		t.Fatal(err)
	}
	pending = filepath.Join(execution, "hog_scenarios_1755488223093251001_aaaaaaaa.star")
	for file, content := range map[string]string{
		filepath.Join(dir, "config.yaml"): fmt.Sprintf("kraken: {rollback_versions_directory: %q}\n", filepath.Join(dir, "versions of it")),
		pending:                           "x",
		filepath.Join(execution, "own_scenarios_1755488223093251000_bbbbbbbb.star.executed"): "x",
		filepath.Join(dir, "zebra.star"): "x",
	} {
		if err := os.WriteFile(file, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir, pending
}

func TestComplete(t *testing.T) {
	t.Parallel()
	dir, pending := completionHome(t)
	config := filepath.Join(dir, "config.yaml")
	executed := filepath.Join(filepath.Dir(pending), "own_scenarios_1755488223093251000_bbbbbbbb.star.executed")
	app := newApp(io.Discard, io.Discard)
	for _, c := range []struct {
		words []string
		want  []string // all of them
		has   []string // some of them
	}{
		{words: []string{"l"}, want: []string{"list-rollback"}},
		{words: []string{""}, has: []string{"run", "execute-rollback", "version"}},
		{words: []string{"list-rollback", "--pe"}, want: []string{"--pending"}},
		{words: []string{"list-rollback", "--replay"}},
		{words: []string{"--con"}, want: []string{"--config", "--context"}},
		{words: []string{"-c", config, "list-rollback", "-r", ""}, want: []string{"run-one"}},
		{words: []string{"list-rollback", "--config=" + config, "--run_uuid", "r"}, want: []string{"run-one"}},
		{words: []string{"list-rollback", "--config", "=", config, "--run_uuid=r"}, want: []string{"--run_uuid=run-one"}},
		{words: []string{"execute-rollback", "-c", config, "-s", "o"}, want: []string{"own_scenarios"}},
		{words: []string{"execute-rollback", "-c", config, "-s", "hog"}, want: []string{"hog_scenarios"}},
		{words: []string{"execute-rollback", "-s", "zone"}, want: []string{"zone_outages_scenarios"}},
		{words: []string{"execute-rollback", "-o", ""}, want: []string{"json", "text"}},
		{words: []string{"list-rollback", "-o", "=", "t"}, want: []string{"tree"}},
		{words: []string{"mark-rollback", "-c", config, ""}, want: []string{pending}},
		{words: []string{"exec", "-c", config, dir}, want: []string{pending, executed}},
		{words: []string{"execute-rollback", "-c", config, "--force-conflict", "/"}, want: []string{pending}},
		{words: []string{"hub", "application"}, want: []string{"application-outages"}},
		{words: []string{"builtins", "k8s.d"}, want: []string{"k8s.delete"}},
		{words: []string{"builtins", "k8"}, has: []string{"k8s", "k8s.get"}},
		{words: []string{"completion", ""}, want: []string{"bash", "fish", "zsh"}},
		{words: []string{"list-rollback", "--config", ""}},
		{words: []string{"version", ""}},
	} {
		got, err := complete(context.Background(), app, c.words)
		if err != nil {
			t.Errorf("%q: %v", c.words, err)
		}
		missing := slices.ContainsFunc(c.has, func(w string) bool { return !slices.Contains(got, w) })
		if missing || c.has == nil && !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q%q", c.words, got, c.want, c.has)
		}
	}
}

var installShells = sync.OnceValue(func() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can install it")
	}
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "zsh", "fish"}} {
		if out, err := exec.Command("apt-get", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args[0], err, out)
		}
	}
	return nil
})

// TestCompletionInShells presses the key in each shell.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	dir, pending := completionHome(t)
	const bash = `source <(ebb completion bash)
COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ebb
printf '%%s\n' "${COMPREPLY[@]}"`
	// What compadd and _files would offer: without a terminal there is nothing that they could show
	// it on.
	const zsh = `compdef() { :; }
compadd() { printf '%%s\n' "${(@)found}"; }
_files() { print FILES; }
source <(ebb completion zsh)
words=(%s) CURRENT=$#words
_ebb`
	const fish = `ebb completion fish | source
complete -C %s`
	relative, err := filepath.Rel(dir, pending)
	if err != nil {
		t.Fatal(err)
	}
	in := func(form, words string) string { return fmt.Sprintf(form, words) }
	for _, c := range []struct {
		shell, script string
		want          string // a line
	}{
		{"bash", in(bash, "ebb list-"), "list-rollback"},
		{"bash", in(bash, "ebb list-rollback --pe"), "--pending"},
		{"bash", in(bash, "ebb -c config.yaml list-rollback -r ''"), "run-one"},
		{"bash", in(bash, "ebb mark-rollback -c config.yaml ''"), strings.ReplaceAll(relative, " ", `\ `)},
		{"zsh", in(zsh, "ebb list-"), "list-rollback"},
		{"zsh", in(zsh, "ebb -c config.yaml list-rollback -r ''"), "run-one"},
		{"zsh", in(zsh, "ebb mark-rollback -c config.yaml ''"), relative},
		{"zsh", in(zsh, "ebb run --config ''"), "FILES"},
		{"fish", in(fish, "'ebb list-'"), "list-rollback"},
		{"fish", in(fish, "'ebb -c config.yaml list-rollback -r '"), "run-one"},
		{"fish", in(fish, "'ebb mark-rollback -c config.yaml '"), relative},
		{"fish", in(fish, "'ebb run --config ze'"), "zebra.star"},
	} {
		path, err := exec.LookPath(c.shell)
		if err != nil {
			installErr := installShells()
			if path, err = exec.LookPath(c.shell); err != nil {
				t.Logf("SKIPPED, THE COMPLETION IN %s WAS NOT TESTED: the machine has no %s: %v", strings.ToUpper(c.shell), c.shell, installErr)
				continue
			}
		}
		command := exec.Command(path, "-c", c.script)
		command.Dir = dir
		command.Env = append(os.Environ(), "HOME="+dir)
		out, err := command.CombinedOutput()
		if err != nil || !slices.Contains(strings.Split(string(out), "\n"), c.want) {
			t.Errorf("%s: %v; got\n%swant a line %q of\n%s", c.shell, err, out, c.want, c.script)
		}
	}
}
