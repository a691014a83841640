package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/internal/hub"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// completeName is the command that the completion scripts of the shells call. Its operands are the
// words of the command line after "ebb", up to the one to complete, which may be empty.
const completeName = "__complete"

func completeCommand() *cli.Command {
	return &cli.Command{
		Name:            completeName,
		Hidden:          true,
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			found, err := complete(c.Context, newApp(io.Discard, io.Discard), c.Args().Slice())
			for _, text := range found {
				// A name that would have to be escaped can't be completed to.
				if console.Clean(text) == text {
					if _, err := fmt.Fprintln(c.App.Writer, text); err != nil {
						return err
					}
				}
			}
			return err
		},
	}
}

// line is a command line to complete.
type line struct {
	command *cli.Command // nil before there is one
	flag    string       // the flag whose value is completed, "" if none
	word    string       // the word to complete
	config  string       // the value of --config
}

// complete returns what the last word can be completed to. If it returns nothing, the shell may
// offer files.
func complete(ctx context.Context, app *cli.App, words []string) ([]string, error) {
	// bash splits --output=json into three words.
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "=" })
	if len(words) == 0 {
		words = []string{""}
	}
	word := words[len(words)-1]
	l := readLine(app, words[:len(words)-1])
	prefix := ""
	if name, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(name, "-") {
		l.flag, prefix, word = strings.TrimLeft(name, "-"), name+"=", value
	}
	l.word = word
	var all []string
	var err error
	switch {
	case l.flag != "":
		all, err = l.values(ctx)
	case strings.HasPrefix(word, "-"):
		all = l.flags(app)
	case l.command == nil:
		for _, c := range app.VisibleCommands() {
			all = append(all, c.Name)
		}
	default:
		all, err = l.operands(ctx)
	}
	var found []string
	for _, text := range all {
		if strings.HasPrefix(text, word) {
			found = append(found, prefix+text)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), err
}

// readLine reads the words before the one to complete.
func readLine(app *cli.App, words []string) (l line) {
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") {
			if l.command == nil {
				l.command = app.Command(words[i])
			}
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(words[i], "-"), "=")
		if takesValue, _ := flagNamed(app, name); takesValue && !hasValue {
			i++
			if i == len(words) {
				l.flag = name
				return l
			}
			value = words[i]
		}
		if name == "config" || name == "c" {
			l.config = value
		}
	}
	return l
}

// flags returns those that can come next. Before the command, they are the flags of all commands.
func (l line) flags(app *cli.App) []string {
	var all []string
	add := func(flags []cli.Flag) {
		for _, flag := range flags {
			if v, ok := flag.(cli.VisibleFlag); ok && v.IsVisible() {
				for _, name := range flag.Names() {
					all = append(all, dashed(name))
				}
			}
		}
	}
	if l.command != nil {
		add(l.command.Flags)
		return append(all, "--help")
	}
	for _, c := range app.VisibleCommands() {
		add(c.Flags)
	}
	return append(all, "--help", "--version")
}

// values returns the possible values of a flag.
func (l line) values(ctx context.Context) ([]string, error) {
	switch l.flag {
	case "log-format":
		return []string{"text", "json"}, nil
	case "directory-trust":
		return []string{"auto", "strict", "volume"}, nil
	case "store":
		return []string{config.StoreDirectory, config.StoreCluster, config.StoreBoth}, nil
	case "log-level":
		return []string{"debug", "info", "warning", "error"}, nil
	case "output", "o":
		if l.command != nil && l.command.Name == "list-rollback" {
			return []string{"tree", "wide", "json"}, nil
		}
		if l.command != nil && l.command.Name == "check-rollback" {
			return []string{"text", "json", "sarif", "github"}, nil
		}
		return []string{"text", "json"}, nil
	case "force-conflict":
		return l.versionFiles(ctx, false)
	case "run_uuid", "r":
		return l.stored(ctx, func(x versions.ExecutionInfo) []string { return []string{x.RunUUID} })
	case "scenario_type", "s":
		types, err := l.stored(ctx, func(x versions.ExecutionInfo) (types []string) {
			for _, f := range x.Files {
				types = append(types, f.ScenarioType)
			}
			return types
		})
		return append(types, builtInTypes()...), err
	}
	return nil, nil
}

// operands returns the possible operands of a command.
func (l line) operands(ctx context.Context) ([]string, error) {
	switch l.command.Name {
	case "completion":
		return shells(), nil
	case "man":
		var names []string
		for _, c := range newApp(io.Discard, io.Discard).VisibleCommands() {
			names = append(names, c.Name)
		}
		return names, nil
	case "builtins":
		return builtinNames()
	case "hub":
		return hub.Names(), nil
	case "test":
		return filepath.Glob("*.star")
	case "exec", "check-rollback", "mark-rollback", "show-rollback", "edit-rollback", "verify-rollback":
		return l.versionFiles(ctx, slices.Contains([]string{"exec", "show-rollback", "verify-rollback"}, l.command.Name))
	}
	return nil, nil
}

// versionFiles returns the paths of pending files and, if executed is set, of executed ones.
func (l line) versionFiles(ctx context.Context, executed bool) ([]string, error) {
	return l.stored(ctx, func(x versions.ExecutionInfo) (files []string) {
		for _, f := range x.Files {
			if f.Replayable() || executed && f.Kind == versions.KindVersion {
				files = append(files, asTyped(f.Location, l.word))
			}
		}
		return files
	})
}

// asTyped returns a path as a user would type it: relative to the working directory, unless the
// word is an absolute path or the file is elsewhere.
func asTyped(path, word string) string {
	if filepath.IsAbs(word) {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(relative) {
		return relative
	}
	return path
}

// builtInTypes returns the scenario types of ebb's own scripts. Their files are named after them.
func builtInTypes() []string {
	names, err := fs.Glob(scripts.FS, "*.star")
	if err != nil {
		panic(err) // the pattern is bad
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".star")
	}
	return names
}

func builtinNames() ([]string, error) {
	docs, err := builtins.Docs()
	var names []string
	for _, d := range docs {
		names = append(names, d.Name)
		if i := strings.LastIndexByte(d.Name, '.'); i > 0 {
			names = append(names, d.Name[:i])
		}
	}
	return names, err
}

// stored collects words from the executions of the store.
func (l line) stored(ctx context.Context, of func(versions.ExecutionInfo) []string) ([]string, error) {
	c, err := config.LoadForRollback(cmp.Or(l.config, defaultConfig))
	if err != nil { // without a readable configuration, use Krkn's default directory
		c = &config.Config{VersionsDirectory: config.DefaultVersionsDirectory}
	}
	store, err := versions.NewDir(c.VersionsDirectory, versions.WithTrust(c.DirectoryTrust))
	if err != nil {
		return nil, err
	}
	listing, err := store.List(ctx, versions.Filter{})
	var words []string
	for _, x := range listing.Executions {
		words = append(words, of(x)...)
	}
	return words, err
}
