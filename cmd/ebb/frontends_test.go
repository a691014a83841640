package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
)

// frontend is a frontend for another program to have the work done.
type frontend interface {
	Replay(context.Context, runner.ReplayOptions) (*runner.Report, error)
	Run(context.Context, supervisor.Scenarios, runner.RunOptions) (*runner.RunReport, error)
	Check(context.Context, []supervisor.Source) ([]supervisor.Diagnosis, error)
}

// unsupervised is a runner without any supervisor.
type unsupervised struct{ *runner.Runner }

// Run implements frontend.
func (a unsupervised) Run(ctx context.Context, all supervisor.Scenarios, o runner.RunOptions) (*runner.RunReport, error) {
	prepared, err := a.Prepare(ctx, all.Files, all.SkipUnsupported)
	if err != nil {
		return nil, err
	}
	return a.Runner.Run(ctx, prepared, o)
}

// Check implements frontend.
func (a unsupervised) Check(ctx context.Context, sources []supervisor.Source) ([]supervisor.Diagnosis, error) {
	var all []supervisor.Diagnosis
	for _, source := range sources {
		d := supervisor.Diagnosis{Name: source.Name}
		errs, warnings := a.Diagnose(ctx, source.Name, source.Content)
		for _, err := range errs {
			d.Errors = append(d.Errors, supervisor.Finding{Failure: runner.FailureOf(err)})
		}
		for _, err := range warnings {
			d.Warnings = append(d.Warnings, supervisor.Finding{Failure: runner.FailureOf(err)})
		}
		all = append(all, d)
	}
	return all, nil
}

// bareCaller is who called ebb without flags.
var bareCaller *caller

// noProgram is no name that a process can be started under.
const noProgram = "ebb\x00"

// frontends are all of them: in a worker, in this process because no worker can be started, and without a
// supervisor.
func (w *failing) frontends() map[string]frontend {
	w.Helper()
	settings := workerSettings{
		Store: storeSettings{Kind: config.StoreDirectory, Directory: filepath.Join(w.dir, "versions")}, Scripts: filepath.Join(w.dir, "steps"), Kubeconfig: w.kubeconfig,
		LogFormat: "text", LogLevel: "error", NoColor: true,
		Times: timeOptions{Timeout: w.timeout, FileTimeout: w.fileTimeout, Grace: runner.DefaultGrace}, TotalPatience: w.timeout,
	}
	r, err := buildRunner(settings, &supervisor.Worker{})
	if err != nil {
		w.Fatal(err)
	}
	return map[string]frontend{
		"in a worker":            w.supervised(settings, "ebb", false),
		"without a worker":       w.supervised(settings, noProgram, true),
		"without any supervisor": unsupervised{r},
	}
}

// supervised is a supervisor that can start workers, or has to work here.
func (w *failing) supervised(settings workerSettings, program string, here bool) *supervisor.Supervisor {
	w.Helper()
	var log bytes.Buffer
	s, err := supervisor.New(buildRunner, settings, supervisor.Options{
		Args: []string{program}, Output: io.Discard, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if strings.Contains(log.String(), "no other process can be started") != here {
			w.Errorf("it was done in this process: want %t; the supervisor says:\n%s", here, &log)
		}
	})
	return s
}

// packages has the packages meet the failure in a replay, as another program would use them.
func (w *failing) packages(want said) {
	w.Helper()
	for name, frontend := range w.frontends() {
		report, err := frontend.Replay(w.Context(), runner.ReplayOptions{})
		if err != nil || len(report.Results) != 1 {
			w.Errorf("a replay %s: got %v and %+v, want one result", name, err, report)
			continue
		}
		r := report.Results[0]
		w.same("a replay "+name, said{runner.KindOf(r.Err), string(r.Outcome), r.Reason(), bareCaller.resultHints(r)}, want, "")
	}
}

// check has check-rollback and the packages find what is wrong with the file.
func (w *failing) check() {
	w.Helper()
	content, err := os.ReadFile(w.file)
	if err != nil {
		w.Fatal(err)
	}
	var out bytes.Buffer
	code, errs := w.ebbTo(&out, "check-rollback", "-o", "json", w.file)
	var document checkDocument
	if err := json.Unmarshal(out.Bytes(), &document); err != nil || code != "1" || len(document.Files) != 1 {
		w.Fatalf("check-rollback: exit code %s, want 1 and one file: %v; it said:\n%s%s", code, err, &out, errs)
	}
	want := document.Files[0].Findings
	if len(want) == 0 || want[0].Level != "error" || want[0].Kind != w.kind {
		w.Errorf("check-rollback: got %+v, want an error of kind %q", want, w.kind)
	}
	for name, frontend := range w.frontends() {
		found, err := frontend.Check(w.Context(), []supervisor.Source{{Name: w.file, Content: content}})
		if err != nil || len(found) != 1 {
			w.Errorf("a check %s: got %v and %+v, want one diagnosis", name, err, found)
			continue
		}
		got := checked{newSource(w.file, content), found[0]}.findings(bareCaller)
		if diff := gocmp.Diff(want, got); diff != "" {
			w.Errorf("a check %s says something else than check-rollback -o json (-) does:\n%s", name, diff)
		}
	}
}
