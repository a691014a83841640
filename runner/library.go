package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/suggest"
	"github.com/ebb-chaos/ebb/schema"
)

// Script is a loaded scenario script.
type Script struct {
	*builtins.Declaration
	Name   string // directory and file, for messages
	module *engine.Module
	run    *starlark.Function

	// Nil if there is none.
	check, between, effect, summary *starlark.Function
}

// Library has the scripts, by scenario type.
type Library map[string]*Script

// Types returns the known scenario types, sorted.
func (l Library) Types() []string { return slices.Sorted(maps.Keys(l)) }

// Library loads the scripts of all directories. A mistake in any of them is an error, so that a
// scenario always runs the script that the user expects.
func (r *Runner) Library(ctx context.Context) (Library, error) {
	c, err := r.catalog(ctx, func(string) bool { return true })
	return c.loaded, err
}

// catalog has the known scenario types, and the scripts of those that are needed.
type catalog struct {
	loaded Library
	names  map[string]string // of all scripts, by type
}

// types returns the scenario types, sorted.
func (c *catalog) types() []string { return slices.Sorted(maps.Keys(c.names)) }

// catalog loads the scripts of the needed types. If the files of a directory are not named after
// their types, it loads all of that directory.
func (r *Runner) catalog(ctx context.Context, needed func(kind string) bool) (*catalog, error) {
	c := &catalog{loaded: Library{}, names: map[string]string{}}
	var errs []error
	for _, dir := range r.options.Scripts {
		names, err := fs.Glob(dir.FS, "*.star")
		if err != nil {
			return c, fmt.Errorf("scenario scripts %q: %w", dir.Name, err)
		}
		if entries, err := fs.ReadDir(dir.FS, "."); err != nil {
			errs = append(errs, fmt.Errorf("scenario scripts %q: %w", dir.Name, err))
		} else if len(entries) > 0 && len(names) == 0 {
			r.options.Log.Warn(fmt.Sprintf("scenario scripts %q: no file ends in .star", dir.Name))
		}
		inDir := map[string]string{}
		for _, name := range names {
			kind := strings.TrimSuffix(name, ".star")
			if _, known := c.names[kind]; dir.NamedByType && !needed(kind) && !known {
				errs = append(errs, c.add(r, inDir, kind, dir.Name+"/"+name, nil))
				continue
			}
			s, err := r.script(ctx, dir, name)
			switch {
			case err != nil:
				errs = append(errs, err)
			case dir.NamedByType && s.Kind != kind:
				errs = append(errs, fmt.Errorf("%s: declares the scenario type %q, want %q as the file is named", s.Name, s.Kind, kind))
			default:
				errs = append(errs, c.add(r, inDir, s.Kind, s.Name, s))
			}
		}
	}
	return c, errors.Join(errs...)
}

// add adds a script, or only its type if the script is nil, because it was not loaded. inDir has
// the other scripts of its directory.
func (c *catalog) add(r *Runner, inDir map[string]string, kind, name string, s *Script) error {
	if other, ok := inDir[kind]; ok {
		return fmt.Errorf("%s: declares the scenario type %q, as %s does", name, kind, other)
	}
	inDir[kind] = name
	if known, ok := c.names[kind]; ok {
		if !s.Override {
			return fmt.Errorf("%s: scenario type %q exists already (%s): to replace it, say override = True in Scenario(…)", name, kind, known)
		}
		r.options.Log.Warn(fmt.Sprintf("scenario type %q of %s is overridden by %s", kind, known, name))
	}
	c.names[kind] = name
	if s != nil {
		c.loaded[kind] = s
	}
	return nil
}

// script loads one script, and finds calls that would fail in the middle of the chaos.
func (r *Runner) script(ctx context.Context, dir ScriptDir, name string) (*Script, error) {
	s, err := r.loadScript(ctx, dir, name)
	if err != nil {
		return nil, err
	}
	if err := r.engine.CheckModule(s.module, contractOf(s.Fields)); err != nil {
		return nil, fmt.Errorf("scenario script in %s: %w", dir.Name, err)
	}
	return s, nil
}

// loadScript loads one script and checks that it has the functions of a scenario.
func (r *Runner) loadScript(ctx context.Context, dir ScriptDir, name string) (*Script, error) {
	defer r.loading(dir.Name + "/" + name)()
	m, err := r.engine.LoadScript(builtins.WithSession(ctx, r.initSession()), dir.FS, name)
	if err != nil {
		return nil, fmt.Errorf("scenario script in %s: %w", dir.Name, err)
	}
	s := &Script{Name: dir.Name + "/" + name, module: m}
	if v := m.Get("scenario"); v == nil {
		return nil, fmt.Errorf("%s: has no scenario = Scenario(…)", s.Name)
	} else if declaration, ok := builtins.DeclarationOf(v); ok {
		s.Declaration = declaration
	} else {
		return nil, fmt.Errorf("%s: scenario is a %s, want Scenario(…)", s.Name, v.Type())
	}
	if err := schema.ValidateFields(s.Fields); err != nil {
		return nil, fmt.Errorf("%s: fields: %w", s.Name, err)
	}
	if s.run, err = entry(m, s.Name, "run"); err != nil {
		return nil, err
	}
	if s.run == nil {
		return nil, fmt.Errorf("%s: has no def run(config)", s.Name)
	}
	if s.check, err = entry(m, s.Name, "check"); err != nil {
		return nil, err
	}
	if s.between, err = entry(m, s.Name, "between"); err != nil {
		return nil, err
	}
	if s.effect, err = lookEntry(m, s.Name, "effect"); err != nil {
		return nil, err
	}
	if s.summary, err = lookEntry(m, s.Name, "summary"); err != nil {
		return nil, err
	}
	return s, nil
}

// entry returns a function of one parameter, or nil if there is none.
func entry(m *engine.Module, script, name string) (*starlark.Function, error) {
	v := m.Get(name)
	if v == nil {
		return nil, nil
	}
	fn, ok := v.(*starlark.Function)
	if !ok {
		return nil, fmt.Errorf("%s: %s is a %s, want def %s(config)", script, name, v.Type(), name)
	}
	if fn.NumParams() != 1 || fn.HasVarargs() || fn.HasKwargs() {
		return nil, fmt.Errorf("%s: %s takes %d parameters, want one: def %s(config)", script, name, fn.NumParams(), name)
	}
	return fn, nil
}

// UnsupportedError means that no script declares a scenario type.
type UnsupportedError struct {
	From  string // where the scenario is listed
	Type  string
	Known []string
}

func (e *UnsupportedError) Error() string { return e.From + ": " + e.what() }

func (e *UnsupportedError) what() string {
	text := fmt.Sprintf("scenario type %q is not supported", e.Type)
	if meant := e.suggestion(); meant != "" {
		text += fmt.Sprintf("; did you mean %q?", meant)
	}
	return text
}

// olderNames are scenario types of older versions of Krkn whose names do not resemble the present
// ones.
var olderNames = map[string]string{
	"pod_scenarios":       "pod_disruption_scenarios",
	"namespace_scenarios": "service_disruption_scenarios",
	"arcaflow_scenarios":  "hog_scenarios",
	"plugin_scenarios":    "pod_disruption_scenarios",
}

// suggestion returns the type that was probably meant. Older names of Krkn are shorter.
func (e *UnsupportedError) suggestion() string {
	if meant := olderNames[e.Type]; slices.Contains(e.Known, meant) {
		return meant
	}
	if meant := suggest.Nearest(e.Type, e.Known); meant != "" {
		return meant
	}
	plain := strings.ReplaceAll(e.Type, "-", "_")
	short, long := strings.TrimSuffix(plain, "_scenarios"), strings.TrimSuffix(plain, "_scenario")+"_scenarios"
	for _, name := range []string{short, long} {
		if slices.Contains(e.Known, name) {
			return name
		}
	}
	return suggest.Nearest(long, e.Known)
}

// Hints returns what a person can do about it.
func (e *UnsupportedError) Hints() []string {
	return []string{"supported are " + strings.Join(e.Known, ", ")}
}
