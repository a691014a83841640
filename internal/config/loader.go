package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/versions"
)

// loader collects the configuration and the problems of one file.
type loader struct {
	file     string
	root     *yaml.Node
	values   map[string]any
	config   *Config
	problems []problem
	warnings schema.Problems
	safety   schema.Problems // enabled safety keys, unless they are ignored
}

// problem is an error. It becomes a warning if the caller does not need the key.
type problem struct {
	schema.Problem
	about string // the key, or for a misspelt key the one that was meant
}

func (l *loader) at(n *yaml.Node, key, format string, args ...any) schema.Problem {
	return schema.Problem{File: l.file, Line: n.Line, Key: key, Message: fmt.Sprintf(format, args...)}
}

func (l *loader) problem(n *yaml.Node, key, format string, args ...any) {
	l.problems = append(l.problems, problem{l.at(n, key, format, args...), key})
}

func (l *loader) warn(n *yaml.Node, key, format string, args ...any) {
	l.warnings = append(l.warnings, l.at(n, key, format, args...))
}

// result separates the problems into errors and warnings.
func (l *loader) result(fatal func(key string) bool) (*Config, error) {
	var errs schema.Problems
	for _, p := range l.problems {
		// A problem without a key is about the whole file.
		if p.about == "" || fatal(p.about) {
			errs = append(errs, p.Problem)
		} else if read(p.about) {
			l.warnings = append(l.warnings, p.Problem)
		}
	}
	switch {
	case len(l.safety) > 0:
		errs = append(errs, l.safety...)
		errs.Sort()
		return nil, &SafetyError{errs}
	case len(errs) > 0:
		errs.Sort()
		return nil, errs
	}
	l.warnings.Sort()
	for _, w := range l.warnings {
		l.config.Warnings = append(l.config.Warnings, w.String())
	}
	slices.Sort(l.config.Ignored)
	return l.config, nil
}

// get returns the value of a key in a section, or the zero value of its type.
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
		key := suggestedKey(p.Key)
		switch {
		case !p.Unknown:
			l.problems = append(l.problems, problem{p, p.Key})
		case key != "" && read(key) && !l.onlyAnchors(p.Key, key):
			// The user wanted something that ebb would not do: auto_rolback: False.
			p.Message = fmt.Sprintf("unknown; did you mean %q?", strings.TrimPrefix(key, parentOf(p.Key)))
			l.problems = append(l.problems, problem{p, key})
		default:
			l.warnings = append(l.warnings, p)
		}
	}
	l.ignored()
	l.anchors(problems)

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
	trust, err := versions.ParseTrust(get[string](l, "kraken", "rollback_directory_trust"))
	if err == nil { // otherwise it was reported that the key is invalid
		c.DirectoryTrust = trust
	}
	c.Events = get[bool](l, "kraken", "rollback_events")
	c.Store = Store{
		Kind: cmp.Or(get[string](l, "kraken", "rollback_store"), StoreDirectory), Namespace: l.namespace("rollback_store_namespace"),
		Kubeconfig: l.directory("rollback_store_kubeconfig_path"), Required: get[bool](l, "kraken", "rollback_store_required"),
		SigningKey: l.directory("rollback_signing_key_path"), PublicKeys: l.directory("rollback_public_keys_path"),
		SigningKeyAt: l.place("rollback_signing_key_path"), PublicKeysAt: l.place("rollback_public_keys_path"),
	}
	written := get[string](l, "kraken", "kubeconfig_path")
	kubeconfig, err := KubeconfigPath(written)
	if _, noToken := os.Stat(ServiceAccount); errors.Is(err, errNoHome) && noToken == nil {
		kubeconfig, err = written, nil // the file does not exist, and a pod does not need it
	}
	if err != nil {
		l.problem(l.node("kraken", "kubeconfig_path"), "kraken.kubeconfig_path", "%v", err)
	}
	c.Kubeconfig = kubeconfig
	// The UUID becomes part of a directory's name, and a label of every object.
	if c.RunUUID = get[string](l, "performance_monitoring", "uuid"); c.RunUUID != "" && versions.CheckRunUUID(c.RunUUID) != nil {
		l.problem(l.node("performance_monitoring", "uuid"), "performance_monitoring.uuid",
			"got %q, want 1 to 63 letters, digits, \"-\", \"_\" or \".\", with a letter or digit at both ends", c.RunUUID)
	}
}

// onlyAnchors reports whether an unknown key at the top level only holds YAML anchors for other
// keys, and just has a name like one of them.
func (l *loader) onlyAnchors(key, suggested string) bool {
	return strings.Contains(suggested, ".") && schema.Lookup(l.root, key) != nil && schema.Anchored(schema.Lookup(l.root, key))
}

// ignored lists the keys that are set and have no effect.
func (l *loader) ignored() {
	for name, f := range sections {
		if l.values[name] == nil {
			continue
		}
		if f.Type == schema.Any && !read(name) {
			l.config.Ignored = append(l.config.Ignored, name)
		}
		for key, f := range f.Fields {
			if path := name + "." + key; f.Type == schema.Any && !read(path) && l.section(name)[key] != nil {
				l.config.Ignored = append(l.config.Ignored, path)
			}
		}
	}
}

// anchors reports the keys at the top level that only hold anchors. Check reports them only if they
// resemble a known key.
func (l *loader) anchors(reported schema.Problems) {
	for i := 0; i+1 < len(l.root.Content); i += 2 {
		name, value := l.root.Content[i].Value, l.root.Content[i+1]
		_, known := sections[name]
		said := slices.ContainsFunc(reported, func(p schema.Problem) bool { return p.Key == name })
		if schema.Anchored(value) && !known && !said {
			l.config.Ignored = append(l.config.Ignored, name)
		}
	}
}

func (l *loader) section(name string) map[string]any {
	s, _ := l.values[name].(map[string]any)
	return s
}

// directory returns the path of a file or directory in the kraken section, "" if it is not set.
func (l *loader) directory(key string) string {
	path, err := expand(strings.TrimSpace(get[string](l, "kraken", key)))
	if err != nil {
		l.problem(l.node("kraken", key), "kraken."+key, "%v", err)
	}
	return path
}

// namespace returns a namespace of the kraken section, "" if it is not set.
func (l *loader) namespace(key string) string {
	name := strings.TrimSpace(get[string](l, "kraken", key))
	if problems := validation.IsDNS1123Label(name); name != "" && len(problems) > 0 {
		l.problem(l.node("kraken", key), "kraken."+key, "got %q, want the name of a namespace: %s", name, problems[0])
	}
	return name
}

// place returns the position of a key in the kraken section, for errors about the file that it
// names. It is "" if the key is not set.
func (l *loader) place(key string) string {
	n := schema.Lookup(l.root, "kraken", key)
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d: key %q", l.file, n.Line, "kraken."+key)
}

// node returns the node for an error about a key. If the key is missing, that is the root of the
// file.
func (l *loader) node(path ...string) *yaml.Node {
	if n := schema.Lookup(l.root, path...); n != nil {
		return n
	}
	return l.root
}
