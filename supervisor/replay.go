package supervisor

import (
	"context"
	"sync"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// workerTries is how often a worker may end without having been at anything.
const workerTries = 3

// replayOrder is a replay.
type replayOrder struct {
	Options runner.ReplayOptions         // without what follows
	File    *versions.File               // nil: all that the options select
	Tried   []*result                    // what other workers could not undo
	Lost    map[string]*runner.LostError // files whose code ended one, by key
	Begun   map[string]versions.File     // those of which none said what came of them, by key
}

// Replay is [runner.Runner.Replay] in a worker. A file whose code ends the worker fails, and
// another worker goes on with the others. With an [*IncompleteError] there is a report, too.
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
		o.Tried, o.Lost, o.Begun = allToWire(files.notUndone()), files.lost, files.unsaid
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

// replay is the worker's part.
func (h *workerTask) replay(ctx context.Context, r *runner.Runner, o *replayOrder) (done, error) {
	report, err := o.do(ctx, r)
	if err != nil {
		return done{}, err
	}
	h.tellReport(report.Results)
	return done{Interrupted: report.Interrupted}, nil
}

// orderAtOnce is how many keys one event has.
const orderAtOnce = 1024

// tellReport tells the results of a report. Of those that were told when they came, only the keys are told:
// they are final, and nearly all.
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

// finished has the outcomes of the files whose results were told, by their keys.
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

// told reports whether a result with an outcome was told of a file.
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
