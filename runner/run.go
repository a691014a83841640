package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/patience"
)

// RunOptions say how scenarios are run. The zero value runs each scenario once and undoes it in any
// case.
type RunOptions struct {
	UUID          string        // of the run: a label value of Kubernetes; empty: a new UUID
	LeaveFailed   bool          // leave the changes of a failed scenario to a later replay; a successful scenario is always undone
	ExitOnFailure bool          // a failed scenario ends the run
	Iterations    int           // 0 is 1
	Daemon        bool          // repeat until the context is cancelled
	Wait          time.Duration // between two scenarios
	SkipPreflight bool          // don't check that the user has the rights that the scenario and its undo need
	CheckOnly     bool          // end before the first scenario: no request is sent, nothing is changed

	// From is the first scenario to run. Use it to continue a run whose process has died.
	From Position
}

// Position identifies a scenario of a run. Both fields count from 0.
type Position struct {
	Iteration int `json:"iteration"`
	Index     int `json:"index"`
}

// ScenarioResult is the result of one scenario file. It can be written as JSON and read again; Err
// is then a [*Failure].
type ScenarioResult struct {
	Scenario ScenarioFile
	Position Position
	Err      error             // why the scenario failed; nil for success
	Results  []Result          // of its version files
	Pending  []string          // locations of files that LeaveFailed left for a replay
	Effects  []builtins.Effect // what was seen of the chaos: one for each map of the scenario file
	Began    time.Time
	Took     time.Duration

	// Summaries are what scripts have measured, such as the response times of a load test.
	Summaries []json.RawMessage
}

type scenarioResultJSON struct {
	Type     string            `json:"scenario_type"`
	Path     string            `json:"scenario"`
	From     string            `json:"listed_at,omitempty"`
	Position Position          `json:"position"`
	Failure  *Failure          `json:"failure,omitempty"`
	Results  []Result          `json:"results"`
	Pending  []string          `json:"pending,omitempty"`
	Effects  []builtins.Effect `json:"effects,omitempty"`
	Began    time.Time         `json:"began"`
	Took     time.Duration     `json:"took_ns"`

	Summaries []json.RawMessage `json:"summaries,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r ScenarioResult) MarshalJSON() ([]byte, error) {
	return json.Marshal(scenarioResultJSON{
		r.Scenario.Type, r.Scenario.Path, r.Scenario.From, r.Position, FailureOf(r.Err), r.Results, r.Pending, r.Effects, r.Began, r.Took, r.Summaries,
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *ScenarioResult) UnmarshalJSON(data []byte) error {
	var j scenarioResultJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*r = ScenarioResult{
		Scenario: ScenarioFile{Type: j.Type, Path: j.Path, From: j.From},
		Position: j.Position, Results: j.Results, Pending: j.Pending, Effects: j.Effects, Began: j.Began, Took: j.Took, Summaries: j.Summaries,
	}
	if j.Failure != nil {
		r.Err = j.Failure
	}
	return nil
}

// RunReport is the result of a run.
type RunReport struct {
	UUID        string           `json:"run_uuid"`
	Scenarios   []ScenarioResult `json:"scenarios"`
	Interrupted bool             `json:"interrupted"`
}

// Results returns the results of all version files of the run.
func (r *RunReport) Results() *Report {
	all := &Report{Interrupted: r.Interrupted}
	for _, x := range r.Scenarios {
		all.Results = append(all.Results, x.Results...)
	}
	return all
}

// Failed counts the scenarios that failed.
func (r *RunReport) Failed() int {
	n := 0
	for _, x := range r.Scenarios {
		if x.Err != nil {
			n++
		}
	}
	return n
}

// Pending counts the version files that are still pending.
func (r *RunReport) Pending() int {
	n := r.Results().Pending() + r.Results().Refused()
	for _, x := range r.Scenarios {
		n += len(x.Pending)
	}
	return n
}

// Refused reports whether a scenario failed because a step would not have been safe.
func (r *RunReport) Refused() bool {
	return slices.ContainsFunc(r.Scenarios, func(x ScenarioResult) bool { return IsRefused(x.Err) })
}

// Ends reports whether the run must end after the last scenario of the report: something is not
// restored, or a failure ends the run.
func (r *RunReport) Ends(o RunOptions) bool {
	failed := len(r.Scenarios) > 0 && r.Scenarios[len(r.Scenarios)-1].Err != nil
	return r.Interrupted || r.Pending() > 0 || failed && o.ExitOnFailure
}

// Check returns an error that names each invalid option.
func (o RunOptions) Check() error {
	var errs []error
	if o.UUID != "" {
		if problems := validation.IsValidLabelValue(o.UUID); len(problems) > 0 {
			errs = append(errs, fmt.Errorf("run options: UUID: got %q, want a label value: %s", o.UUID, problems[0]))
		}
	}
	if o.Iterations < 0 {
		errs = append(errs, fmt.Errorf("run options: Iterations: got %d, want 0 or more", o.Iterations))
	}
	if o.Wait < 0 {
		errs = append(errs, fmt.Errorf("run options: Wait: got %s, want 0 or more", o.Wait))
	}
	return errors.Join(errs...)
}

// Run runs scenarios one after the other. If ctx is cancelled, it undoes the current scenario and
// starts no other one. If something could not be undone, it starts no other one either, whatever
// the options say. The error says which option is invalid. The results of the scenarios are in the
// report.
func (r *Runner) Run(ctx context.Context, scenarios []*Scenario, o RunOptions) (*RunReport, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.CheckOnly {
		return &RunReport{UUID: o.UUID}, nil
	}
	if err := r.checkConfiguration(scenarios, o); err != nil {
		return nil, err
	}
	if o.UUID == "" {
		o.UUID = uuid.NewString()
	}
	defer r.events.Flush(flushLimit)
	report := &RunReport{UUID: o.UUID}
	for i := o.From.Iteration; len(scenarios) > 0 && (o.Daemon || i < max(1, o.Iterations)); i++ {
		for n, s := range scenarios {
			at := Position{i, n}
			if i == o.From.Iteration && n < o.From.Index {
				continue
			}
			if at != (Position{}) && o.Wait > 0 && !r.pause(ctx, o.Wait) || ctx.Err() != nil {
				report.Interrupted = true
				return report, nil
			}
			report.Scenarios = append(report.Scenarios, r.execute(ctx, s, at, o))
			report.Interrupted = ctx.Err() != nil
			if r.Over(report, o) {
				return report, nil
			}
			if o.Daemon && i > 0 {
				// The report of a daemon would grow without end: keep the last iteration.
				report.Scenarios = report.Scenarios[max(0, len(report.Scenarios)-len(scenarios)):]
			}
		}
	}
	return report, nil
}

// checkConfiguration checks, before the first scenario, that the client configuration of the
// cluster can be used. It sends no request. It does nothing if no scenario needs the cluster.
func (r *Runner) checkConfiguration(scenarios []*Scenario, o RunOptions) error {
	if o.SkipPreflight || o.From != (Position{}) {
		return nil
	}
	for _, s := range scenarios {
		if len(s.script.Rights) > 0 {
			_, err := r.outside.cluster()
			return err
		}
	}
	return nil
}

// Over returns [RunReport.Ends], and logs the reason if it may be unexpected.
func (r *Runner) Over(report *RunReport, o RunOptions) bool {
	if !report.Interrupted && report.Pending() > 0 {
		r.options.Log.Error("something is not restored: no further scenario is started")
	}
	return report.Ends(o)
}

// pause waits between scenarios. It returns false if the context ended meanwhile.
func (r *Runner) pause(ctx context.Context, d time.Duration) bool {
	if r.options.Progress != nil {
		defer r.options.Progress(d, "waiting before the next scenario")()
	}
	return patience.Sleep(ctx, d) == nil
}

// execute runs one scenario file and undoes it.
func (r *Runner) execute(ctx context.Context, s *Scenario, at Position, o RunOptions) (report ScenarioResult) {
	// The context is made here, so that the grace counts from the signal, and not from when the
	// scenario notices it.
	after, cancel := graceful(ctx, r.options.Grace)
	defer cancel()
	report = ScenarioResult{Scenario: s.ScenarioFile, Position: at, Began: time.Now()}
	log := r.options.Log.With("run_uuid", o.UUID, "scenario", s.Path, "scenario_type", s.Type)
	x := &scenarioRun{runner: r, scenario: s, runUUID: o.UUID, log: log, flushed: map[string]string{}}
	log.Info(fmt.Sprintf("Running scenario: %s (%s), run_uuid=%s", s.Path, s.Type, o.UUID))
	report.Err = x.begin(ctx)
	if r.options.Hooks.Began != nil {
		r.options.Hooks.Began(Start{s.ScenarioFile, at, x.id(), report.Began})
	}
	if report.Err == nil && !o.SkipPreflight {
		report.Err = r.preflight(ctx, s)
	}
	if report.Err == nil {
		report.Err = x.run(ctx)
	}
	if report.Err != nil {
		x.logFailure(ctx, report.Err)
	}

	// From here on, everything that was started is undone within the rest of the grace, whether a
	// signal has come or comes later.
	x.summarize(after, x.contents)
	switch {
	case report.Err == nil:
		x.reports = append(x.reports, x.replay(after, remove)...)
	case o.LeaveFailed:
		report.Pending = x.leave(after)
	default:
		x.reports = append(x.reports, x.replay(after, keep)...)
	}
	report.Results, report.Effects = latest(x.reports), x.effects
	report.Summaries = x.summaries
	if err := x.close(); err != nil {
		log.Warn(fmt.Sprintf("closing the execution: %v", err))
	}
	report.Took = time.Since(report.Began)
	r.ended(report)
	return report
}

// ended calls the hook for the result of a scenario.
func (r *Runner) ended(report ScenarioResult) {
	if r.options.Hooks.Ended != nil {
		r.options.Hooks.Ended(report)
	}
}

// latest returns the last result of each file. An undo that failed during the run is repeated at
// its end.
func latest(results []Result) []Result {
	var last []Result
	for i, result := range results {
		again := slices.ContainsFunc(results[i+1:], func(later Result) bool { return later.File.Timestamp == result.File.Timestamp })
		if !again {
			last = append(last, result)
		}
	}
	return last
}

// run calls the function run of the script for each map of the scenario file. Between two maps it
// undoes the changes, so that each map finds the cluster as the first one did.
func (x *scenarioRun) run(ctx context.Context) error {
	ctx, free := held(ctx, x.execution)
	defer free()
	err := x.runAll(ctx)
	// The context may end by a signal first: after a sleep, this process may not know yet that another one has the execution.
	if permit := permitOf(x.execution, true); permit != nil {
		if _, notOurs := permit(context.WithoutCancel(ctx)); notOurs != nil {
			err = errors.Join(err, notOurs)
		}
	}
	if lost := lostTo(x.execution); lost != nil {
		return lost
	}
	return err
}

func (x *scenarioRun) runAll(ctx context.Context) error {
	r, s := x.runner, x.scenario
	for i, config := range s.configs {
		x.config = config
		session := x.session(x.look(config)) // a new session: rollbacks of the map before do not allow changes of this one
		_, err := r.call(ctx, session, s.script.run, config)
		if err == nil {
			err = session.Observed(ctx)
		}
		x.effects = append(x.effects, session.Effect())
		if err == nil && i < len(s.configs)-1 {
			err = x.Undo(ctx)
			if err == nil && s.script.between != nil {
				_, err = r.call(ctx, session, s.script.between, config)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// logFailure logs why a scenario failed, with the line of the script if there is one.
func (x *scenarioRun) logFailure(ctx context.Context, err error) {
	if ctx.Err() != nil {
		x.log.Warn(fmt.Sprintf("Scenario %s was interrupted", x.scenario.Path))
		return
	}
	x.log.Error(fmt.Sprintf("Scenario %s failed: %v", x.scenario.Path, err))
	var scriptErr *engine.Error
	if errors.As(err, &scriptErr) && scriptErr.Backtrace() != "" {
		x.log.Debug(scriptErr.Backtrace())
	}
}
