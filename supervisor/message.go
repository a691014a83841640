package supervisor

import (
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// The messages between the two processes. They have no interfaces: an error is sent as a
// [runner.Failure], which is an error with the same kind and hints on the other side.

// order is an order to a worker. The first one says what to do. A later one may tell it to stop.
type order struct {
	Settings []byte
	Replay   *replayOrder
	Run      *runOrder
	Check    *checkOrder
	Points   bool    // report the points that are passed
	KillAt   *KillAt // end the worker there
	Stop     *stopOrder
}

// stopOrder says that the context was cancelled.
type stopOrder struct{ Cause string }

// event reports what a worker does.
type event struct {
	Begin    *versions.File // its code starts
	Over     string         // key of a file whose code has ended
	Result   *result
	Order    []string // keys of files with final results, in the order of the report
	Script   string   // a scenario script that is being loaded
	Loaded   string   // a scenario script that is loaded
	Prepared int      // number of scenarios that are ready
	Began    *runner.Start
	Proving  string // key of a file that is being rehearsed
	Proved   bool   // the rehearsal has ended
	Ended    *scenarioResult
	Checking int // the source that is being checked, counted from 1
	Checked  *Diagnosis
	Passed   runner.Point // the point that was passed
	Killed   bool         // the worker kills itself there
	Done     *done
}

// done is the last event of a worker that has ended by itself.
type done struct {
	Failure     *runner.Failure // why there is no report
	Interrupted bool
}

// result is a runner.Result whose error can be sent.
type result struct {
	runner.Result
	Failure *runner.Failure
}

func toWire(r runner.Result) *result {
	w := &result{Result: r, Failure: runner.FailureOf(r.Err)}
	w.Err = nil
	return w
}

func (w *result) result() runner.Result {
	r := w.Result
	r.Err = errorOf(w.Failure)
	return r
}

// errorOf returns a nil interface for a nil pointer.
func errorOf(f *runner.Failure) error {
	if f == nil {
		return nil
	}
	return f
}

func allToWire(results []runner.Result) []*result {
	var wire []*result
	for _, r := range results {
		wire = append(wire, toWire(r))
	}
	return wire
}

func allResults(wire []*result) []runner.Result {
	var results []runner.Result
	for _, w := range wire {
		results = append(results, w.result())
	}
	return results
}

// byKey returns results as [runner.ReplayOptions] has those of an earlier process.
func byKey(results []runner.Result) map[string]runner.Result {
	keyed := map[string]runner.Result{}
	for _, r := range results {
		keyed[r.File.Key()] = r
	}
	return keyed
}
