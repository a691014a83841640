package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
)

// Diagnose finds errors in a version file without running its functions. It returns all of them.
// Warnings do not stop a replay.
func (r *Runner) Diagnose(ctx context.Context, name string, content []byte) (errs []error, warnings []error) {
	defer func() { errs = each(errs) }()
	errs, warnings = sortFindings(r.engine.Check(name, content, versionFileContract))
	m, err := r.loadModule(ctx, name, content)
	if err != nil {
		return addFinding(errs, err), warnings
	}
	file, problems := readVersionFile(m, name)
	errs = append(errs, problems...)
	if file.verify == nil && len(problems) == 0 {
		warnings = append(warnings, fmt.Errorf("%s: has no %s: a replay will be \"%s\"", name, nameVerify, Unverified))
	}
	for _, text := range unnamed(m, file) {
		warnings = append(warnings, fmt.Errorf("%s: %s", name, text))
	}
	return errs, warnings
}

// DiagnoseScript finds errors in a scenario script at the root of a directory, and in the files
// that it loads, without running its functions.
func (r *Runner) DiagnoseScript(ctx context.Context, dir ScriptDir, name string) (errs []error, warnings []error) {
	defer func() { errs = each(errs) }()
	loading := builtins.WithSession(ctx, r.initSession())
	contract := scriptContract
	s, err := r.loadScript(ctx, dir, name)
	if err == nil {
		contract = contractOf(s.Fields)
	}
	errs, warnings = sortFindings(r.engine.CheckScript(loading, dir.FS, name, contract))
	if err != nil {
		errs = addFinding(errs, err)
	}
	return errs, warnings
}

// Declared is what a scenario script declares.
type Declared struct {
	Type     string
	Rights   []builtins.Right
	Observed bool // it has a function effect, which checks whether the chaos is in force
}

// Declared loads a scenario script at the root of a directory and returns its declaration.
func (r *Runner) Declared(ctx context.Context, dir ScriptDir, name string) (*Declared, error) {
	s, err := r.script(ctx, dir, name)
	if err != nil {
		return nil, err
	}
	return &Declared{Type: s.Kind, Rights: s.Rights, Observed: s.effect != nil}, nil
}

// each returns errors that were found together as separate errors.
func each(errs []error) []error {
	var all []error
	for _, err := range errs {
		if script, ok := err.(*engine.Error); ok {
			for _, one := range script.Each() {
				all = append(all, one)
			}
			continue
		}
		all = append(all, err)
	}
	return all
}

func sortFindings(found []engine.Diagnostic) (errs []error, warnings []error) {
	for _, d := range found {
		if d.Warning {
			warnings = append(warnings, d.Error)
		} else {
			errs = append(errs, d.Error)
		}
	}
	return errs, warnings
}

// addFinding adds an error, unless there is one for the same position.
func addFinding(errs []error, err error) []error {
	var found *engine.Error
	if errors.As(err, &found) {
		for _, known := range errs {
			var x *engine.Error
			if errors.As(known, &x) && x.Pos.String() == found.Pos.String() {
				return errs
			}
		}
	}
	return append(errs, err)
}

// unnamed returns the refs of a version file whose name or namespace does not appear in its
// content. If an edit changed a name in one place only, the undo would act on another object than
// the one that was changed.
func unnamed(m *engine.Module, f *versionFile) []string {
	var texts []string
	for name, v := range m.Globals() {
		if name != nameVersion {
			texts = appendTexts(texts, v, 0)
		}
	}
	named := func(text string) bool {
		for _, t := range texts {
			if strings.Contains(t, text) {
				return true
			}
		}
		return false
	}
	var found []string
	for _, r := range f.Undoes {
		if !named(r.Name) {
			found = append(found, fmt.Sprintf("%s undoes %s, but nothing in %s is %q: was one of them edited?", nameVersion, r.Text(), nameContent, r.Name))
		} else if !named(r.Namespace) {
			found = append(found, fmt.Sprintf("%s undoes %s, but nothing in %s is %q: was one of them edited?", nameVersion, r.Text(), nameContent, r.Namespace))
		}
	}
	return found
}

// appendTexts adds the strings in a value. It descends a few levels only; a content that people
// read has no more.
func appendTexts(texts []string, v starlark.Value, depth int) []string {
	const most = 20
	if depth == most {
		return texts
	}
	switch v := v.(type) {
	case starlark.String:
		return append(texts, string(v))
	case starlark.IterableMapping:
		for _, item := range v.Items() {
			texts = appendTexts(appendTexts(texts, item[0], depth+1), item[1], depth+1)
		}
	case starlark.Iterable:
		it := v.Iterate()
		defer it.Done()
		for x := starlark.Value(nil); it.Next(&x); {
			texts = appendTexts(texts, x, depth+1)
		}
	case builtins.Ref:
		return append(texts, v.Name, v.Namespace)
	case starlark.HasAttrs:
		for _, name := range v.AttrNames() {
			if field, err := v.Attr(name); err == nil && field != nil {
				texts = appendTexts(texts, field, depth+1)
			}
		}
	}
	return texts
}
