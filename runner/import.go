package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// Foreign is a version file of another program.
type Foreign struct {
	File     versions.File
	RunUUID  string
	Callable string         // the name of its undo function
	Fields   map[string]any // the arguments of that function
}

// Translate returns the content of a version file that replaces a foreign one. Its undo is what the
// script's function import_NAME records, where NAME is the callable's name. Translate asks no
// cluster and writes nothing.
func (r *Runner) Translate(ctx context.Context, fsys fs.FS, script string, f Foreign) ([]byte, error) {
	m, err := r.engine.LoadScript(builtins.WithSession(ctx, r.initSession()), fsys, script)
	if err != nil {
		return nil, err
	}
	name := "import_" + f.Callable
	fn, ok := m.Get(name).(*starlark.Function)
	if !ok {
		return nil, fmt.Errorf("%s: there is no function %s", script, name)
	}
	fields, err := builtins.ConfigValue(f.Fields, nil)
	if err != nil {
		return nil, err
	}
	record := &translation{}
	session := &builtins.Session{Mode: builtins.Run, Log: r.options.Log, RunUUID: f.RunUUID, ScenarioType: f.File.ScenarioType, Recorder: record}
	if _, err := r.call(ctx, session, fn, fields); err != nil {
		return nil, err
	}
	if len(record.rollbacks) != 1 {
		return nil, fmt.Errorf("%s: %s recorded %d rollbacks, want one", script, name, len(record.rollbacks))
	}
	content, err := r.composeWith(m, r.importHeader(f), builtins.Version{
		ScenarioType: f.File.ScenarioType, RunUUID: f.RunUUID, Created: timeText(f.File.Created()),
	}, record.rollbacks[0])
	if err != nil {
		return nil, err
	}
	file, err := r.load(ctx, f.File.Location, content)
	if err != nil {
		return nil, fmt.Errorf("the version file can't be replayed: %w", err)
	}
	return content, r.engine.CheckModule(file.module, versionFileContract)
}

// Import writes the version file that replaces a foreign one, and renames the foreign one to
// .imported. content is the result of Translate.
func (r *Runner) Import(ctx context.Context, x versions.Execution, f versions.File, content []byte) (versions.File, error) {
	ours, err := x.Import(ctx, f, content)
	if ours.Name != "" && ours.State == versions.Pending && ours.Size == int64(len(content)) {
		written, readErr := x.Read(ctx, ours)
		if readErr == nil && string(written) == string(content) {
			r.journal(ctx, ours, x.RunUUID(), versions.Entry{Event: versions.EventFlushed, SHA256: versions.Digest(content), Message: "imported from " + f.Name})
		}
		err = errors.Join(err, readErr)
	}
	return ours, err
}

// importHeader are the first lines of an imported file.
func (r *Runner) importHeader(f Foreign) string {
	return fmt.Sprintf(`#!/usr/bin/env -S ebb exec
# Imported by ebb %s from Krkn's %s
# (%s). Edit it freely, then:
#   ebb check-rollback FILE     does it still load, is it complete
#   ebb execute-rollback --run_uuid %s --dry-run`, r.options.Version, f.File.Name, f.Callable, f.RunUUID)
}

// translation is the recorder of a function import_NAME.
type translation struct{ rollbacks []builtins.Rollback }

// Record implements builtins.Recorder.
func (t *translation) Record(_ context.Context, rb builtins.Rollback) error {
	t.rollbacks = append(t.rollbacks, rb)
	return nil
}

// Undo implements builtins.Recorder.
func (t *translation) Undo(context.Context) error {
	return errors.New("nothing is undone by an import")
}
