package runner

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/versions"
)

// The variables of a version file.
const (
	nameVersion  = "rollback_version"
	nameContent  = "rollback_content"
	nameCallable = "rollback_callable"
	nameVerify   = "verify_callable"
)

// versionFile is a loaded version file.
type versionFile struct {
	builtins.Version
	module   *engine.Module
	content  starlark.Value
	callable *starlark.Function
	verify   *starlark.Function // nil in a hand-written file that has none
	log      *slog.Logger       // its lines name the file
	purpose  string             // a digest of the refs that it was written for; "" if it has none

	mu           sync.Mutex
	rightCluster bool // the cluster was checked
}

// objects returns what the file undoes, for log lines.
func (f *versionFile) objects() []string {
	names := make([]string, len(f.Undoes))
	for i, ref := range f.Undoes {
		names[i] = ref.Text()
	}
	return names
}

// compose returns the source of the version file of a rollback. It has everything that the replay
// needs, and loads no other file.
func (r *Runner) compose(from *engine.Module, v builtins.Version, rb builtins.Rollback) ([]byte, error) {
	v.Created = timeText(time.Now())
	header := fmt.Sprintf(`#!/usr/bin/env -S ebb exec
# Written by ebb %s before the change that it undoes. Edit it freely, then:
#   ebb check-rollback FILE     does it still load, is it complete
#   ebb execute-rollback --run_uuid %s --dry-run`, r.options.Version, v.RunUUID)
	return r.composeWith(from, header, v, rb)
}

// timeText formats a time as in version files.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// composeWith returns the source of a version file with a header.
func (r *Runner) composeWith(from *engine.Module, header string, v builtins.Version, rb builtins.Rollback) ([]byte, error) {
	v.Format = 1
	v.Undoes = rb.Undoes
	content, err := r.engine.Extract(from, header, []engine.Export{
		{Name: nameVersion, Value: v.Value()},
		{Name: nameContent, Value: rb.Content, Comment: "# What to restore."},
		{Name: nameCallable, Value: rb.Callable, Comment: "# Actual rollback callable."},
		{Name: nameVerify, Value: rb.Verify},
	})
	if err != nil {
		return nil, err
	}
	return versions.Seal(withPurpose(content, rb.Undoes)), nil
}

// load loads a version file as every replay does.
func (r *Runner) load(ctx context.Context, name string, content []byte) (*versionFile, error) {
	m, err := r.loadModule(ctx, name, content)
	if err != nil {
		return nil, err
	}
	f, problems := readVersionFile(m, name)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	f.log = r.options.Log
	return f, nil
}

// loadModule runs the top level of a version file. Its time limit is that of a file, because it may
// compute there.
func (r *Runner) loadModule(ctx context.Context, name string, content []byte) (*engine.Module, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.FileTimeout)
	defer cancel()
	defer r.notStuck(ctx, name)()
	return r.engine.Load(builtins.WithSession(ctx, r.initSession()), name, content)
}

// readVersionFile finds the parts of a version file in its variables. It returns all errors.
func readVersionFile(m *engine.Module, name string) (*versionFile, []error) {
	f := &versionFile{module: m}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	var missing []string
	for _, variable := range []string{nameVersion, nameContent, nameCallable} {
		if m.Get(variable) == nil {
			missing = append(missing, variable)
		}
	}
	if len(missing) > 0 {
		problem("%s: not a complete version file, it lacks %s", name, strings.Join(missing, ", "))
	}
	var err error
	if v := m.Get(nameVersion); v != nil {
		if f.Version, err = builtins.VersionOf(v); err != nil {
			problem("%s: %s: %w", name, nameVersion, err)
		}
	}
	if f.content = m.Get(nameContent); f.content != nil && !builtins.IsContent(f.content) {
		problem("%s: %s is a %s, want RollbackContent(…)", name, nameContent, f.content.Type())
	}
	if f.callable, err = callable(m, name, nameCallable); err != nil {
		problems = append(problems, err)
	}
	if f.verify, err = callable(m, name, nameVerify); err != nil {
		problems = append(problems, err)
	}
	return f, problems
}

// callable returns a variable that holds a function of one parameter, or nil if there is none.
func callable(m *engine.Module, file, variable string) (*starlark.Function, error) {
	v := m.Get(variable)
	if v == nil {
		return nil, nil
	}
	fn, ok := v.(*starlark.Function)
	if !ok {
		return nil, fmt.Errorf("%s: %s is a %s, want a function", file, variable, v.Type())
	}
	if fn.NumParams() != 1 || fn.HasVarargs() || fn.HasKwargs() {
		return nil, fmt.Errorf("%s: %s: %s takes %d parameters, want one, the rollback content", fn.Position(), variable, fn.Name(), fn.NumParams())
	}
	return fn, nil
}
