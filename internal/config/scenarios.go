package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/schema"
)

// scenarios reads kraken.chaos_scenarios: a list of maps. Each maps a scenario type to the files to
// run, in order.
func (l *loader) scenarios() {
	const key = "kraken.chaos_scenarios"
	if k := schema.Lookup(l.root, "kraken"); k == nil || k.Kind != yaml.MappingNode {
		return // reported already
	}
	n := schema.Lookup(l.root, "kraken", "chaos_scenarios")
	switch {
	case n == nil || n.ShortTag() == "!!null":
		// A run without scenarios would be reported as done.
		l.problem(l.node("kraken"), key, "missing; want a list such as \"- hog_scenarios: [scenarios/cpu-hog.yml]\"")
	case n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		l.problem(n, key, "empty, so nothing would run; want a list such as \"- hog_scenarios: [scenarios/cpu-hog.yml]\"")
	case n.Kind == yaml.SequenceNode:
		for i, entry := range n.Content {
			l.entry(follow(entry), fmt.Sprintf("%s[%d]", key, i), true)
		}
	case n.Kind == yaml.MappingNode:
		l.entry(n, key, false)
	default:
		l.problem(n, key, "got %q, want a list of maps from a scenario type to its files", n.Value)
	}
}

// entry reads "type: files". Each item of the list holds one of these.
func (l *loader) entry(n *yaml.Node, key string, item bool) {
	if n.Kind != yaml.MappingNode {
		l.problem(n, key, "got %s, want \"type: [files]\"", kind(n))
		return
	}
	names, values := schema.Pairs(n)
	merged := slices.ContainsFunc(n.Content, func(key *yaml.Node) bool { return key.Tag == "!!merge" })
	if item && merged && len(names) > 1 {
		l.problem(n, key, "got several types, some of them merged: of several types Krkn takes one; make each an item of its own")
		return
	}
	for i, name := range names {
		files := values[i]
		key := key + "." + name.Value
		switch {
		case item && i > 0:
			l.warn(name, key, "not run: of several types in one item Krkn takes the first; make it an item of its own (\"- %s:\")", name.Value)
		case files.ShortTag() == "!!null":
			l.warn(name, key, "names no scenario files")
		case files.Kind == yaml.ScalarNode:
			l.scenario(name.Value, files, key)
		case files.Kind == yaml.SequenceNode && len(files.Content) == 0:
			l.warn(name, key, "names no scenario files")
		case files.Kind == yaml.SequenceNode:
			for i, file := range files.Content {
				l.scenario(name.Value, follow(file), fmt.Sprintf("%s[%d]", key, i))
			}
		default:
			l.problem(files, key, "got %s, want a list of scenario files", kind(files))
		}
	}
}

func (l *loader) scenario(name string, n *yaml.Node, key string) {
	entry := ScenarioEntry{Type: name, Line: n.Line}
	switch {
	case n.Kind == yaml.SequenceNode:
		// This is an error only if the type is run.
		p := l.at(n, key, "got a list within the list, which older versions of Krkn took for a file and its check script; want the scenario file alone")
		entry.Err = schema.Problems{p}
		l.config.Scenarios = append(l.config.Scenarios, entry)
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || n.Value == "":
		l.problem(n, key, "got %s, want the path of a scenario file", kind(n))
	default:
		entry.Path = n.Value
		l.config.Scenarios = append(l.config.Scenarios, entry)
	}
}

func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("%q", n.Value)
}
