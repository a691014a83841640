package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/schema"
)

// ScenarioFile is a scenario file to run.
type ScenarioFile struct {
	Type string
	Path string
	From string // where it is listed, for messages: "config.yaml:14"
	Data []byte // the file's content; nil: it is read from Path

	// Problem is what is wrong with the place where it is listed. It is an error unless the type is
	// skipped.
	Problem string
}

// Scenario is a scenario file that was checked and can be run.
type Scenario struct {
	ScenarioFile
	script  *Script
	configs []starlark.Value // one a map of the file
}

// Prepare reads and checks scenario files, all of them, before any is run. With
// skipUnsupported, files of unknown types are left out with a warning.
func (r *Runner) Prepare(ctx context.Context, files []ScenarioFile, skipUnsupported bool) ([]*Scenario, error) {
	catalog, err := r.catalog(ctx, func(kind string) bool {
		return slices.ContainsFunc(files, func(f ScenarioFile) bool { return f.Type == kind })
	})
	if err != nil {
		return nil, err
	}
	var scenarios []*Scenario
	var errs []error
	for _, file := range files {
		script, ok := catalog.loaded[file.Type]
		if !ok {
			unsupported := &UnsupportedError{From: file.From, Type: file.Type, Known: catalog.types()}
			if !skipUnsupported {
				errs = append(errs, unsupported)
				continue
			}
			r.options.Log.Warn(fmt.Sprintf("%s: skipping %s: %s", file.From, file.Path, unsupported.what()))
			continue
		}
		if file.Problem != "" {
			errs = append(errs, errors.New(file.Problem))
			continue
		}
		s, err := r.prepare(ctx, file, script)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		scenarios = append(scenarios, s)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return scenarios, nil
}

func (r *Runner) prepare(ctx context.Context, file ScenarioFile, script *Script) (*Scenario, error) {
	data := file.Data
	if data == nil {
		var err error
		if data, err = schema.ReadFile(file.Path); err != nil {
			return nil, fmt.Errorf("%s: %w", file.From, unreadable(file.Path, err))
		}
	}
	documents, err := schema.Documents(file.Path, data, script.Root, script.List)
	if err != nil {
		return nil, err
	}
	s := &Scenario{ScenarioFile: file, script: script}
	var errs []error
	for _, document := range documents {
		values, problems := document.Check(script.Fields)
		if err := problems.Err(); err != nil {
			errs = append(errs, err)
			continue
		}
		config, err := builtins.ConfigValue(values, script.Fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Path, err)
		}
		for _, key := range document.Unused(script.Fields) {
			r.options.Log.Warn(key.String())
		}
		if err := r.checkConfig(ctx, script, document, config); err != nil {
			errs = append(errs, err)
		}
		s.configs = append(s.configs, config)
	}
	return s, errors.Join(errs...)
}

// checkConfig calls the script's own check, which sees what no single field shows.
func (r *Runner) checkConfig(ctx context.Context, script *Script, document schema.Document, config starlark.Value) error {
	if script.check == nil {
		return nil
	}
	defer r.loading(script.Name)()
	_, err := r.call(ctx, r.initSession(), script.check, config)
	var final *builtins.IrreversibleError
	if errors.As(err, &final) {
		return fmt.Errorf("%s:%d: %w", document.File, document.Node.Line, final)
	}
	var failed *engine.FailError
	if errors.As(err, &failed) {
		return schema.Problems{{File: document.File, Line: document.Node.Line, Key: document.Path, Message: failed.Error()}}
	}
	return err
}

// unreadable says why a scenario file can't be read. A path that is not absolute is looked for in the
// working directory, whatever directory the configuration is in.
func unreadable(path string, err error) error {
	dir, wdErr := os.Getwd()
	if !errors.Is(err, fs.ErrNotExist) || filepath.IsAbs(path) || wdErr != nil {
		return fmt.Errorf("scenario file: %w", err)
	}
	return fmt.Errorf("scenario file: %w in %q, the working directory", err, dir)
}
