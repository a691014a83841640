package supervisor

import (
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// What the two processes say to each other. Interfaces have no place in it: an error crosses as a
// [runner.Failure], which is an error of the same kind and with the same hints on the other side.

// order is what a worker is told: first what to do, and then, perhaps, to stop.
type order struct {
	Settings []byte
	Replay   *replayOrder
	Run      *runOrder
	Check    *checkOrder
	Points   bool    // tell which points are passed
	KillAt   *KillAt // end there
	Stop     *stopOrder
}

// stopOrder says that the context was cancelled.
type stopOrder struct{ Cause string }

// event is what a worker is at.
type event struct {
	Begin    *versions.File // its code is at work now
	Over     string         // key of one whose code isn't any more
	Result   *result
	Order    []string // keys of files whose results were told and are final: the report has them in this order
	Script   string   // a scenario script whose code is being loaded
	Loaded   string   // one that is loaded
	Prepared int      // so many scenarios are ready
	Began    *runner.Start
	Proving  string // key of a file that is being rehearsed
	Proved   bool   // it no longer is
	Ended    *scenarioResult
	Checking int // number of the source that is being checked, from 1
	Checked  *Diagnosis
	Passed   runner.Point // a point
	Killed   bool         // the worker kills itself there
	Done     *done
}

// done is the last event of a worker that was not ended by what it worked on.
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

// errorOf is nil for nil, as no *runner.Failure in an error is.
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

// byKey are results as the runner has those of an earlier process.
func byKey(results []runner.Result) map[string]runner.Result {
	keyed := map[string]runner.Result{}
	for _, r := range results {
		keyed[r.File.Key()] = r
	}
	return keyed
}
