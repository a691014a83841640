package runner

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// ReplayOptions say what to replay, and how. The zero value replays all pending files.
type ReplayOptions struct {
	RunUUID      string `json:"run_uuid,omitempty"`      // exact; empty selects all
	ScenarioType string `json:"scenario_type,omitempty"` // exact; empty selects all
	DryRun       bool   `json:"dry_run,omitempty"`       // only list what would be done
	KeepGoing    bool   `json:"keep_going,omitempty"`    // replay older files of an execution after a newer one failed
	Parallel     int    `json:"parallel,omitempty"`      // number of independent executions at the same time; 0 is [DefaultParallel]

	// TakeOver makes an undo also change objects that somebody else has changed since. Expected are
	// the resource versions that objects must still have, as a dry run has returned them; see
	// [builtins.Session]. Both apply only to [Runner.ReplayFile].
	TakeOver bool              `json:"take_over,omitempty"`
	Expected map[string]string `json:"expected,omitempty"`

	// Only are the keys of the selected files to replay. Empty: all selected files.
	Only []string `json:"only,omitempty"`

	// Verify only calls the verify of each file, also of executed ones, and changes nothing.
	Verify bool `json:"verify,omitempty"`

	// Tried are the results, by key, of files that an earlier process of this replay could not
	// undo. They are not tried again, and their results are final.
	Tried map[string]Result `json:"tried,omitempty"`

	// Lost are the files, by key, whose code ended such a process. They fail with that error and
	// are not tried again.
	Lost map[string]*LostError `json:"lost,omitempty"`

	// Begun are the files, by key, that such a process started and reported no result of. If it was
	// renamed, the undo was complete.
	Begun map[string]versions.File `json:"begun,omitempty"`
}

// DefaultParallel is how many independent executions are replayed at the same time. While the API
// server throttles, there are fewer.
const DefaultParallel = 16

// settled reports whether a file must not be tried.
func (o ReplayOptions) settled(f versions.File) bool {
	_, tried := o.Tried[f.Key()]
	return tried || o.Lost[f.Key()] != nil
}

// mostKnown is how many runs an [UnknownRunError] names: the newest ones.
const mostKnown = 10

// UnknownRunError means that the store has no version file of a run.
type UnknownRunError struct {
	RunUUID string
	Known   []string
}

func (e *UnknownRunError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("no version files of run %q: the store has no version files", e.RunUUID)
	}
	known := e.Known
	if more := len(known) - mostKnown; more > 0 {
		known = append(slices.Clone(known[:mostKnown]), fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("no version files of run %q; known runs: %s", e.RunUUID, strings.Join(known, ", "))
}

// Replay undoes all selected pending files. If nothing could be tried, it returns an error.
// Otherwise the results of the files are in the report.
func (r *Runner) Replay(ctx context.Context, o ReplayOptions) (*Report, error) {
	defer r.events.Flush(flushLimit)
	defer r.syncJournal(ctx)
	p := r.replayer(o)
	p.stop = ctx.Done()
	if o.Verify {
		return p.verifyPending(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	read := &reading{replayer: p, schedule: newSchedule()}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer read.schedule.close()
		read.all(ctx)
	}()
	results := p.chains(ctx, read.schedule)
	<-over
	switch {
	case read.err != nil && !read.begun:
		return nil, read.err
	case read.err != nil:
		err := fmt.Errorf("%s: not all was read: %w", r.store.Location(), read.err)
		r.options.Log.Error(err.Error())
		results = append(results, unread("", r.store.Location(), "", outcomeOf(err), err))
	case o.RunUUID != "" && read.count == 0:
		if err := r.knownRun(ctx, o.RunUUID); err != nil {
			return nil, err
		}
	}
	return &Report{Results: slices.Concat(read.renamed, read.unread, results), Interrupted: ctx.Err() != nil}, nil
}

// chains replays the chains of a schedule, each newest first, several at the same time. Their log
// lines and results are in the order of the schedule.
func (p *replayer) chains(ctx context.Context, s *schedule) []Result {
	var mu sync.Mutex
	var results [][]Result
	turns := newTurns(p.options.Log.Handler())
	pace := newPace(p.Parallel, p.outside.load)
	work := newCrew()
	for {
		done := pace.begin()
		chain := s.next()
		if chain == nil {
			done()
			break
		}
		log, over := turns.take(chain.turn)
		own := *p // what was read before it was scheduled
		work.do(func() {
			defer done()
			defer over()
			own.Runner, own.beliefs = p.logging(log), &builtins.Beliefs{}
			of := own.chain(ctx, chain)
			mu.Lock()
			defer mu.Unlock()
			for len(results) <= chain.turn {
				results = append(results, nil)
			}
			results[chain.turn] = of
		})
	}
	work.wait()
	return slices.Concat(results...)
}

// chain replays the executions of one chain. The first one that is not undone blocks the others. So
// does a chain that this one waits for.
func (p *replayer) chain(ctx context.Context, c *chain) (all []Result) {
	defer close(c.ended)
	c.wait()
	for _, info := range c.executions {
		results := p.execution(ctx, info, c.failed)
		all = append(all, results...)
		if i := slices.IndexFunc(results, func(x Result) bool { return x.Outcome.blocks() }); i >= 0 && c.failed == nil && !p.KeepGoing {
			c.failed = &results[i]
		}
	}
	c.executions = nil // not needed any more: the results have them
	return all
}

// ReplayFile undoes one file of the store, in any state. An executed file is replayed and keeps its
// name. A pending file must wait for newer files of its execution, unless o.KeepGoing is set. It
// uses only KeepGoing, DryRun, TakeOver, Expected, Lost and Begun of o.
func (r *Runner) ReplayFile(ctx context.Context, f versions.File, o ReplayOptions) (*Report, error) {
	defer r.events.Flush(flushLimit)
	defer r.syncJournal(ctx)
	p := r.replayer(ReplayOptions{DryRun: o.DryRun, KeepGoing: o.KeepGoing, Lost: o.Lost, Begun: o.Begun, TakeOver: o.TakeOver, Expected: o.Expected})
	x, err := p.openFor(ctx, f)
	if err != nil {
		return nil, err
	}
	result, err := p.single(ctx, x, f)
	if cerr := x.Close(); cerr != nil {
		r.options.Log.Warn(fmt.Sprintf("%s: %v", x.Location(), cerr))
	}
	if err != nil {
		return nil, err
	}
	return &Report{Results: []Result{result}, Interrupted: ctx.Err() != nil}, nil
}

// openFor opens the execution of a file.
func (p *replayer) openFor(ctx context.Context, f versions.File) (source, error) {
	if !p.DryRun {
		return p.open(ctx, versions.ExecutionInfo{ID: f.Execution})
	}
	listing, err := p.store.List(ctx, versions.Filter{ScenarioType: f.ScenarioType})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(listing.Executions, func(x versions.ExecutionInfo) bool { return x.ID == f.Execution })
	if i < 0 {
		return nil, fmt.Errorf("execution %q: %w", f.Execution, fs.ErrNotExist)
	}
	return p.open(ctx, listing.Executions[i])
}

// single replays one file of an open execution.
func (p *replayer) single(ctx context.Context, x source, f versions.File) (Result, error) {
	files, err := x.Files(ctx)
	if err != nil {
		return Result{}, err
	}
	p.journaled = p.readJournal(ctx)
	if i := slices.IndexFunc(files, func(now versions.File) bool { return now.Key() == f.Key() && p.renamedUnreported(now) }); i >= 0 {
		return p.restoredBefore(ctx, x.RunUUID(), files[i]), nil
	}
	for _, newer := range files {
		if newer.Timestamp > f.Timestamp && newer.Replayable() && f.Replayable() && !p.KeepGoing {
			return Result{}, &RefusedError{
				Kind:    KindNewerPending,
				Err:     fmt.Errorf("%s is newer and has to be undone first", newer.Location),
				Details: map[string]string{"run_uuid": x.RunUUID(), "file": newer.Location},
			}
		}
	}
	after, cancel := graceful(ctx, p.options.Grace)
	defer cancel()
	return p.file(after, x, f), nil
}

// knownRun returns an *UnknownRunError unless the store has a file of the run, of any scenario
// type.
func (r *Runner) knownRun(ctx context.Context, uuid string) error {
	all, err := r.store.List(ctx, versions.Filter{})
	if err != nil {
		return err
	}
	e := &UnknownRunError{RunUUID: uuid}
	seen := map[string]bool{}
	for _, x := range all.Executions {
		if x.RunUUID == uuid {
			return nil
		}
		if !seen[x.RunUUID] {
			seen[x.RunUUID] = true
			e.Known = append(e.Known, x.RunUUID)
		}
	}
	return e
}

// lockPatience is how long a replay waits for locks, from its start. The locks of a process that
// was just killed are released a moment after its end.
const lockPatience = time.Second
