package supervisor

import (
	"context"
	"sync"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// workerTries is how many workers may end before they have done anything.
const workerTries = 3

// replayOrder is a replay.
type replayOrder struct {
	Options runner.ReplayOptions         // without the fields below
	File    *versions.File               // nil: all that the options select
	Tried   []*result                    // results of other workers that are not undone
	Lost    map[string]*runner.LostError // files whose code ended a worker, by key
	Begun   map[string]versions.File     // files that were started and have no result, by key
}

// Replay is [runner.Runner.Replay] in a worker. If the code of a file ends the worker, that file
// fails, and another worker continues with the others. With an [*IncompleteError], Replay returns a
// report, too.
func (s *Supervisor) Replay(ctx context.Context, o runner.ReplayOptions) (*runner.Report, error) {
	return s.replay(ctx, &replayOrder{Options: o})
}

// ReplayFile is [runner.Runner.ReplayFile] in a worker.
func (s *Supervisor) ReplayFile(ctx context.Context, f versions.File, o runner.ReplayOptions) (*runner.Report, error) {
	return s.replay(ctx, &replayOrder{Options: o, File: &f})
}

func (s *Supervisor) replay(ctx context.Context, o *replayOrder) (*runner.Report, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	t := s.begin(ctx, "replays")
	defer func() { t.over() }()
	files := newFiles(t)
	unexplained := 0
	for first := true; ; first = false {
		var last *done
		o.Tried, o.Lost, o.Begun = allToWire(files.notUndone()), files.lost, files.unreported
		end, err := t.work(order{Replay: o}, func(e event) {
			files.handle(e)
			if e.Done != nil {
				last = e.Done
			}
		})
		switch {
		case err != nil && first && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && first:
			return t.replayHere(o, err)
		case t.isDone(end, last):
			return &runner.Report{Results: files.results(), Interrupted: last.Interrupted}, nil
		case last != nil && first && ctx.Err() != nil:
			return nil, ctx.Err()
		case last != nil && first:
			return nil, last.Failure
		}
		why := t.givenUp("replay", err, end, last)
		switch {
		case why != "":
		case files.atWork():
			why = files.workerDied(end.how)
		default:
			if unexplained++; unexplained == workerTries {
				why = "the process that replays " + end.how
			} else {
				s.options.Log.Error("the process that replays " + end.how + ": trying again")
			}
		}
		if why == "" && ctx.Err() != nil {
			why = "interrupted"
		}
		if why != "" {
			return &runner.Report{Results: files.all(), Interrupted: true}, &IncompleteError{Why: why, Killed: end.killed}
		}
		o.Options.Parallel = files.parallel(o.Options.Parallel)
	}
}

// replayHere replays in this process.
func (t *task) replayHere(o *replayOrder, why error) (*runner.Report, error) {
	r, err := t.runnerInProcess(why)
	if err != nil {
		return nil, err
	}
	return o.do(t.ctx, r)
}

// replay does the work in the worker.
func (h *workerTask) replay(ctx context.Context, r *runner.Runner, o *replayOrder) (done, error) {
	report, err := o.do(ctx, r)
	if err != nil {
		return done{}, err
	}
	h.tellReport(report.Results)
	return done{Interrupted: report.Interrupted}, nil
}

// orderAtOnce is the maximal number of keys in one event.
const orderAtOnce = 1024

// tellReport reports the results of a replay. For results that were reported before and are final,
// which nearly all are, it sends only the keys.
func (h *workerTask) tellReport(results []runner.Result) {
	var keys []string
	flush := func() {
		if len(keys) > 0 {
			h.inside.Tell(event{Order: keys})
			keys = nil
		}
	}
	for _, x := range results {
		key := x.File.Key()
		if h.finished.told(key, x.Outcome) {
			if keys = append(keys, key); len(keys) == orderAtOnce {
				flush()
			}
			continue
		}
		flush()
		h.inside.Tell(event{Result: toWire(x)})
	}
	flush()
}

// finished has the outcomes of the files whose results were reported, by key.
type finished struct {
	mu       sync.Mutex
	outcomes map[string]runner.Outcome
}

func (f *finished) add(r runner.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcomes == nil {
		f.outcomes = map[string]runner.Outcome{}
	}
	f.outcomes[r.File.Key()] = r.Outcome
}

// told reports whether a result with this outcome was reported for a file.
func (f *finished) told(key string, outcome runner.Outcome) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	was, ok := f.outcomes[key]
	return ok && was == outcome
}

func (o *replayOrder) do(ctx context.Context, r *runner.Runner) (*runner.Report, error) {
	options := o.Options
	options.Tried, options.Lost, options.Begun = byKey(allResults(o.Tried)), o.Lost, o.Begun
	if o.File != nil {
		return r.ReplayFile(ctx, *o.File, options)
	}
	return r.Replay(ctx, options)
}
