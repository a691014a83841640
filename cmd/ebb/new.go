package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

//go:embed new
var newFiles embed.FS

// scenarioName matches names that can be part of a scenario type, a file name and an object's name.
var scenarioName = lazyregexp.New(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// longestName leaves room in the names of objects, which have at most 63 characters.
const longestName = 40

const typeSuffix = "_scenarios"

type newOptions struct {
	invocation
}

func (o *newOptions) check() error {
	if len(o.operands) != 1 {
		return &usageError{err: fmt.Errorf("got %d operands, want the name of one scenario", len(o.operands)), hints: []string{o.bare("new", "NAME")}}
	}
	name := o.operands[0]
	switch {
	case !scenarioName.MatchString(name) || len(name) > longestName:
		return &usageError{
			err:   fmt.Errorf("name: got %q, want small letters, digits and single _, a letter first, at most %d in all", name, longestName),
			hints: []string{o.bare("new", "cut_off_pods")},
		}
	case slices.Contains(builtInTypes(), typeOf(name)):
		return &usageError{
			err:   fmt.Errorf("name: got %q, but %s is a scenario type that ebb has", name, typeOf(name)),
			hints: []string{o.bare("new", "my_"+name)},
		}
	}
	return nil
}

// typeOf returns the scenario type of a name.
func typeOf(name string) string { return strings.TrimSuffix(name, typeSuffix) + typeSuffix }

func newCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "new",
		Usage:     "write a scenario script to begin with",
		UsageText: "ebb new NAME",
		Description: `
Writes a scenario script that works, with comments, into the working directory:

   NAME.star          the script, of the scenario type NAME_scenarios
   NAME.yaml          a scenario file for it
   NAME.config.yaml   a configuration that runs it

Files that exist are not overwritten. The next command is printed.
` + exitHelp(helpDone, helpFailed, helpUsage),
	}, runNew)
}

func runNew(_ context.Context, o newOptions) error {
	name := o.operands[0]
	replace := strings.NewReplacer("{{name}}", name, "{{type}}", typeOf(name), "{{dashed}}", strings.ReplaceAll(name, "_", "-"))
	script, config := name+".star", name+".config.yaml"
	var written []string
	for _, file := range []struct{ from, to string }{{"scenario.star", script}, {"scenario.yaml", name + ".yaml"}, {"config.yaml", config}} {
		content, err := newFiles.ReadFile("new/" + file.from)
		if err == nil {
			err = writeNew(file.to, []byte(replace.Replace(string(content))), 0o644)
		}
		if err != nil {
			return errors.Join(notOverwritten(file.to, err), removeAll(written))
		}
		written = append(written, file.to)
	}
	p := &printer{w: o.stdout, done: "written"}
	p.line("wrote %s", strings.Join(written, ", "))
	p.line("next, with a cluster for tests: %s", o.bare("test", "--config", config, script))
	return p.failed()
}

// notOverwritten says why a file was not written.
func notOverwritten(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return &usageError{err: fmt.Errorf("%s exists, and is not overwritten: nothing was written", path), hints: []string{"choose another name, or remove it"}}
	}
	return err
}

func removeAll(paths []string) error {
	var errs []error
	for _, path := range paths {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
