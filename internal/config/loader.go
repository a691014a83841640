package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/internal/suggest"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/versions"
)

// loader gathers one file's configuration and problems.
type loader struct {
	file     string
	root     *yaml.Node
	values   map[string]any
	config   *Config
	problems schema.Problems // errors, or warnings where the caller doesn't need the key
	warnings schema.Problems
}

func (l *loader) problem(n *yaml.Node, key, format string, args ...any) {
	l.problems = append(l.problems, schema.Problem{File: l.file, Line: n.Line, Key: key, Message: fmt.Sprintf(format, args...)})
}

func (l *loader) warn(n *yaml.Node, key, format string, args ...any) {
	l.warnings = append(l.warnings, schema.Problem{File: l.file, Line: n.Line, Key: key, Message: fmt.Sprintf(format, args...)})
}

// result sorts problems into errors and warnings.
func (l *loader) result(fatal func(key string) bool) (*Config, error) {
	var errs schema.Problems
	for _, p := range l.problems {
		// Without a key the whole file is meant.
		if p.Key == "" || fatal(p.Key) {
			errs = append(errs, p)
		} else if read(p.Key) {
			l.warnings = append(l.warnings, p)
		}
	}
	errs.Sort()
	if err := errs.Err(); err != nil {
		return nil, err
	}
	l.warnings.Sort()
	for _, w := range l.warnings {
		l.config.Warnings = append(l.config.Warnings, w.String())
	}
	slices.Sort(l.config.Ignored)
	return l.config, nil
}

// get is the value of a section's key, or the zero value of its type.
func get[T any](l *loader, section, key string) T {
	v, ok := l.section(section)[key].(T)
	if !ok {
		v, _ = sections[section].Fields[key].Default.(T)
	}
	return v
}

// fields reads all keys but the scenarios.
func (l *loader) fields() {
	values, problems := schema.Check(l.file, l.root, sections)
	l.values = values
	for _, p := range problems {
		section, _, nested := strings.Cut(p.Key, ".")
		switch {
		case !p.Unknown:
			l.problems = append(l.problems, p)
		case section == "kraken", !nested && suggest.Nearest(p.Key, slices.Collect(maps.Keys(sections))) != "":
			l.warnings = append(l.warnings, p)
		default:
			l.config.Ignored = append(l.config.Ignored, p.Key)
		}
	}
	l.ignored()

	c := l.config
	c.AutoRollback = get[bool](l, "kraken", "auto_rollback")
	c.ExitOnFailure = get[bool](l, "kraken", "exit_on_failure")
	c.DaemonMode = get[bool](l, "tunings", "daemon_mode")
	c.Iterations = int(get[int64](l, "tunings", "iterations"))
	c.WaitDuration = time.Duration(get[int64](l, "tunings", "wait_duration")) * time.Second
	if s, ok := l.section("tunings")["wait_duration"].(float64); ok {
		c.WaitDuration = time.Duration(s * float64(time.Second))
	}
	c.ScriptsDirectory = l.directory("scenario_scripts_directory")
	c.VersionsDirectory = l.directory("rollback_versions_directory")
	if c.VersionsDirectory == "" {
		c.VersionsDirectory, c.VersionsDirectoryDefaulted = DefaultVersionsDirectory, true
	}
	kubeconfig, err := KubeconfigPath(get[string](l, "kraken", "kubeconfig_path"))
	if err != nil {
		l.problem(l.at("kraken", "kubeconfig_path"), "kraken.kubeconfig_path", "%v", err)
	}
	c.Kubeconfig = kubeconfig
	// The UUID becomes part of a directory's name and a label on every object.
	if c.RunUUID = get[string](l, "performance_monitoring", "uuid"); c.RunUUID != "" && versions.CheckRunUUID(c.RunUUID) != nil {
		l.problem(l.at("performance_monitoring", "uuid"), "performance_monitoring.uuid",
			"got %q, want 1 to 63 letters, digits, \"-\", \"_\" or \".\", with a letter or digit at both ends", c.RunUUID)
	}
}

// ignored names what is set and has no effect.
func (l *loader) ignored() {
	for name, f := range sections {
		switch {
		case l.values[name] == nil:
		case f.Type == schema.Any:
			l.config.Ignored = append(l.config.Ignored, name)
		case name == "kraken":
			for key, f := range f.Fields {
				if f.Type == schema.Any && key != "chaos_scenarios" && l.section(name)[key] != nil {
					l.config.Ignored = append(l.config.Ignored, name+"."+key)
				}
			}
		}
	}
}

func (l *loader) section(name string) map[string]any {
	s, _ := l.values[name].(map[string]any)
	return s
}

// directory is a path of the kraken section, "" when it isn't set.
func (l *loader) directory(key string) string {
	path, err := expand(strings.TrimSpace(get[string](l, "kraken", key)))
	if err != nil {
		l.problem(l.at("kraken", key), "kraken."+key, "%v", err)
	}
	return path
}

// at is the node to name in an error about a key; the file's root when the key isn't there.
func (l *loader) at(path ...string) *yaml.Node {
	if n := schema.Lookup(l.root, path...); n != nil {
		return n
	}
	return l.root
}
