package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

type testOptions struct {
	commonOptions
	timeOptions
	Settle            time.Duration
	AllowIrreversible bool
	Yes               bool
	Output            string
}

func (o *testOptions) flags() []cli.Flag {
	return slices.Concat([]cli.Flag{
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Destination: &o.Yes, Usage: "this is a cluster for tests: don't ask"},
		&cli.DurationFlag{Name: "settle", Destination: &o.Settle, Value: time.Minute, Usage: "how long after an undo the cluster may take to be as before"},
		&cli.BoolFlag{Name: "allow-irreversible", Destination: &o.AllowIrreversible, Usage: "test scenarios that do what can't be undone, such as the termination of a node"},
		outputFlag(&o.Output, "text or json"),
	}, o.timeOptions.flags(), o.commonOptions.flags())
}

func (o *testOptions) check() error {
	err := errors.Join(o.commonOptions.check(), o.timeOptions.check(), oneOf("output", o.Output, "text", "json"))
	if len(o.operands) != 1 {
		err = errors.Join(err, fmt.Errorf("got %d operands, want one scenario script", len(o.operands)))
	}
	if o.Settle <= 0 {
		err = errors.Join(err, fmt.Errorf("--settle: got %s, want more than 0", o.Settle))
	}
	return err
}

func testCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "test",
		Usage:     "run your scenario script, kill it at each point, and compare",
		UsageText: "ebb test [-c FILE] [--yes] [-o text|json] SCENARIO.star",
		Description: `
Tests a scenario script on a cluster for tests, with the scenario files that the
configuration has for its type:

   - checks the script, as check-rollback does
   - runs the scenario, checks its effect, and undoes it
   - runs it again for each point that it passes, kills the process there with
     SIGKILL, and replays what is pending
   - kills a replay, and replays again
   - replays once more what is restored already

After each step it compares the cluster with the one before. In the namespaces that
the scenario changes, it compares the kinds that the scenario has rights on, and the
usual kinds. Of objects without a namespace, it compares those that the scenario
changes. If somebody else changes something in these namespaces meanwhile, that is a
difference, too. It does not compare clouds.

The scenario runs about 15 times: give it a short duration. ebb new NAME writes a
scenario script to begin with.
` + exitHelp(exitLine{exitDone, "passed"}, exitLine{exitFailed, "failed; the version files are restored"}, helpPending, helpRefused, helpUsage, helpInterrupted),
	}, runTest)
}

func runTest(ctx context.Context, o testOptions) error {
	o.runs = true
	s, err := load(&o.commonOptions, func() (*config.Config, error) {
		return config.Load(o.configFile(), config.Options{})
	})
	if err != nil {
		return err
	}
	for _, w := range s.store.Warnings() {
		s.log.Warn(w)
	}
	path, err := filepath.Abs(o.operands[0])
	if err != nil {
		return err
	}
	settings := s.settings(&o.commonOptions, o.timeOptions)
	settings.Scripts, settings.OnlyScript = filepath.Dir(path), filepath.Base(path)
	settings.OnStop, settings.AllowIrreversible = "rolling back", o.AllowIrreversible
	settings.Events = false // a trial makes about 15 runs: nobody wants all their Events
	s.again = s.next("execute-rollback")
	v, err := s.supervise(ctx, &o.commonOptions, settings)
	if err != nil {
		return err
	}
	defer v.stop()
	t := &trial{supervised: v, options: o, settings: settings, began: time.Now(), passed: map[runner.Point]int{}}
	if err := t.checkScript(ctx); err != nil {
		return err
	}
	if t.files = s.filesOf(t.script.Type); len(t.files) == 0 {
		return &usageError{
			err:   fmt.Errorf("%s lists no scenario file of the type %q, which %s declares", s.File, t.script.Type, o.operands[0]),
			hints: []string{fmt.Sprintf("add to kraken.chaos_scenarios: - %s: [SCENARIO.yaml]", t.script.Type)},
		}
	}
	if err := t.openCluster(); err != nil {
		return err
	}
	if err := t.permitted(); err != nil {
		return err
	}
	return t.finish(t.all())
}

// filesOf returns the scenario files of a type.
func (s *setup) filesOf(kind string) []runner.ScenarioFile {
	var files []runner.ScenarioFile
	for _, scenario := range s.Scenarios {
		if scenario.Type != kind {
			continue
		}
		f := runner.ScenarioFile{Type: scenario.Type, Path: scenario.Path, From: fmt.Sprintf("%s:%d", s.File, scenario.Line)}
		if scenario.Err != nil {
			f.Problem = scenario.Err.Error()
		}
		files = append(files, f)
	}
	return files
}

// checkScript runs the checks of check-rollback, and reads the declarations of the script.
func (t *trial) checkScript(ctx context.Context) error {
	name := t.options.operands[0]
	source := readSource(ctx, t.setup.caller, name, versions.TrustAuto)
	if source.Content != nil && source.Script == "" {
		return &usageError{err: fmt.Errorf("%s: got a file without scenario = Scenario(…), want a scenario script", name), hints: []string{t.setup.bare("new", "NAME")}}
	}
	checked := checked{source, supervisor.Diagnosis{Name: source.Name}}
	if source.Content != nil {
		found, err := t.Check(t.ctx, []supervisor.Source{source.Source})
		if err != nil {
			return err
		}
		checked.Diagnosis = found[0]
	}
	if !checked.ok() {
		if err := t.setup.printDiagnosis(t.options.stderr, source, checked.Diagnosis); err != nil {
			return err
		}
		return outcomeError(exitFailed)
	}
	t.script = checked.Declared
	note := "no findings"
	if n := len(checked.Warnings); n > 0 {
		note = fmt.Sprintf("%d warning(s): %s", n, t.setup.next("check-rollback", name))
	}
	t.steps = append(t.steps, trialStep{Name: "check", Result: stepPassed, Detail: note})
	return nil
}

// permitted checks that this cluster may be used for tests.
func (t *trial) permitted() error {
	if t.options.Yes {
		return nil
	}
	server := "a cloud"
	if t.client != nil {
		server = t.client.Server()
	}
	if !onTerminal() {
		return &usageError{
			err:   fmt.Errorf("the test breaks things on %s on purpose, many times, and nobody can be asked: got no --yes", server),
			hints: []string{"if it is a cluster for tests: " + t.setup.next("test", "--yes", t.options.operands[0])},
		}
	}
	yes, err := t.ask(fmt.Sprintf("This runs %s about 15 times on %s, and kills it each time. Is that a cluster for tests?", t.options.operands[0], server))
	if err == nil && !yes {
		t.setup.log.Warn("nothing was done")
		err = outcomeError(exitFailed)
	}
	return err
}
