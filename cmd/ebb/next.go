package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// caller is how ebb was called. The commands that it prints repeat those flags: each can be pasted,
// and finds the same files and the same cluster. A nil caller stands for ebb without flags.
type caller struct {
	program    string   // the first argument
	where      []string // flags with their values, quoted for a shell
	image      string   // of krkn-hub, whose variables were turned into the scenario file; "" for none
	imageFlags []string // the flags that say where the image's files are
}

// whereFlags say where the configuration, the version files and the clusters are.
var whereFlags = []string{
	"config", "kubeconfig", "context", "directory-trust",
	"store", "store-kubeconfig", "store-namespace", "signing-key", "public-keys",
}

func newCaller(parsed *cli.Context, args []string) *caller {
	c := callerOf(args)
	for _, name := range whereFlags {
		if parsed.IsSet(name) {
			c.where = append(c.where, "--"+name, quoted(parsed.String(name)))
		}
	}
	return c
}

// callerOf returns a caller whose flags are not known.
func callerOf(args []string) *caller {
	c := &caller{}
	if len(args) > 0 {
		c.program = args[0]
	}
	return c
}

// reads records the configuration that is read if no flag names one. A command that is given a file
// reads only a configuration that is named.
func (c *caller) reads(config string) {
	if c != nil && !slices.Contains(c.where, "--config") {
		c.where = append([]string{"--config", quoted(config)}, c.where...)
	}
}

// next returns a command that finds the same files and clusters as this one.
func (c *caller) next(command string, words ...string) string {
	all := []string{c.name(), command}
	if c != nil {
		all = append(all, c.where...)
	}
	for _, word := range words {
		all = append(all, quoted(word))
	}
	return strings.Join(all, " ")
}

// hub returns a command that runs the same image of krkn-hub.
func (c *caller) hub(words ...string) string {
	return c.next("hub", slices.Concat(words, c.imageFlags, []string{c.image})...)
}

// bare returns a command that needs none of this one's flags.
func (c *caller) bare(words ...string) string {
	return strings.Join(append([]string{c.name()}, words...), " ")
}

// name returns the name by which a shell finds the program.
func (c *caller) name() string {
	if c == nil {
		return "ebb"
	}
	name := filepath.Base(c.program)
	if name == "kubectl-ebb" {
		return "kubectl ebb"
	}
	if strings.Contains(c.program, "/") && !sameFile(name, c.program) {
		return quoted(c.program)
	}
	return "ebb"
}

// sameFile reports whether a shell finds the program by its name alone.
func sameFile(name, program string) bool {
	found, err := exec.LookPath(name)
	if err != nil {
		return false
	}
	first, err := os.Stat(found)
	if err != nil {
		return false
	}
	second, err := os.Stat(program)
	return err == nil && os.SameFile(first, second)
}

// words returns the flags of a selection.
func (o *selectionOptions) words() []string {
	var words []string
	if o.RunUUID != "" {
		words = append(words, "--run_uuid", o.RunUUID)
	}
	if o.ScenarioType != "" {
		words = append(words, "--scenario_type", o.ScenarioType)
	}
	return words
}

// replayWords returns the flags of a replay that is repeated.
func replayWords(keepGoing, force bool, words ...string) []string {
	if force {
		words = append([]string{"--force"}, words...)
	}
	if keepGoing {
		words = append([]string{"--keep-going"}, words...)
	}
	return words
}
