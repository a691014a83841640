package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

// window is how many executions are read and sorted together before the first of them is undone.
const window = 1024

// sayReading is how often a replay logs how far it has read, if it must read everything first.
const sayReading = 5 * time.Second

// reading reads the executions of a store, newest first, while the replay already undoes the first
// ones. So a store of any size needs little memory, and the first undo starts at once.
type reading struct {
	*replayer
	schedule *schedule
	ordering ordering
	made     []*chain    // chains that are not scheduled yet
	history  chan record // the journal; nil until it is needed
	said     time.Time

	// Read these after the end.
	count   int      // number of executions
	renamed []Result // results of files that an earlier process restored
	unread  []Result // results of entries of the store that may be pending files
	begun   bool     // a chain was scheduled
	err     error    // why not everything was read
}

// all reads to the end, even if the context ends: the report of an interrupted replay lists each
// file that is not restored.
func (x *reading) all(ctx context.Context) {
	x.said = time.Now()
	var some []versions.ExecutionInfo
	f := versions.Filter{RunUUID: x.RunUUID, ScenarioType: x.ScenarioType}
	for info, err := range versions.Executions(context.WithoutCancel(ctx), x.store, f) {
		var entry *versions.EntryError
		switch {
		case errors.As(err, &entry):
			x.options.Log.Warn(fmt.Sprintf("%s: %s", entry.Location, entry.What))
			x.hidden("", x.RunUUID, entry.Problem)
			continue
		case err == nil && ctx.Err() != nil && !x.begun:
			err = ctx.Err()
		}
		if err != nil {
			x.err = err
			return
		}
		x.count++
		if x.look(ctx, info) {
			if some = append(some, info); len(some) == window {
				x.read(ctx, some)
				some = nil
			}
		}
	}
	x.read(ctx, some)
	x.add()
}

// look reports whether an execution has files to undo, or a problem.
func (x *reading) look(ctx context.Context, info versions.ExecutionInfo) bool {
	for _, f := range info.Files {
		switch {
		case f.Kind == versions.KindForeign && f.State == versions.Pending:
			x.options.Log.Warn(fmt.Sprintf("%s is Krkn's Python, which has to be imported before it can be replayed: it is left alone", f.Location))
		case x.renamedUnreported(f):
			x.needJournal(ctx)
			x.journaled = x.waitForJournal()
			x.renamed = append(x.renamed, x.restoredBefore(ctx, info.RunUUID, f))
		}
	}
	for _, problem := range info.Problems {
		x.hidden(info.ID, info.RunUUID, problem)
	}
	switch {
	case slices.ContainsFunc(info.Files, versions.File.Replayable):
		x.needJournal(ctx)
		return true
	case len(info.Problems) > 0:
		return true
	case len(info.Files) == 0 && !x.DryRun && x.ScenarioType == "" && ctx.Err() == nil:
		x.removeEmpty(ctx, info)
	}
	return false
}

// hidden notes an entry that may be a pending version file.
func (x *reading) hidden(execution, runUUID string, p versions.Problem) {
	if p.Hides && x.keys == nil {
		refused := &versions.InsecureError{Path: p.Location, Problem: p.What, Remedy: p.Remedy}
		x.unread = append(x.unread, unread(execution, p.Location, runUUID, Refused, refused))
	}
}

// removeEmpty removes the execution of a run that was killed before it wrote a version file. The
// execution of a live run is locked and stays. It is no error if another process has removed it.
func (r *Runner) removeEmpty(ctx context.Context, info versions.ExecutionInfo) {
	x, err := r.store.Open(ctx, info.ID)
	if err == nil {
		err = x.Close()
	}
	var locked *versions.LockedError
	if err != nil && !errors.As(err, &locked) && !errors.Is(err, fs.ErrNotExist) {
		r.options.Log.Warn(fmt.Sprintf("%s: %v", info.Location, err))
	}
}

// needJournal starts to read the journal, once.
func (x *reading) needJournal(ctx context.Context) {
	if x.history == nil {
		history := make(chan record, 1)
		x.history = history
		go func() { history <- x.readJournal(ctx) }()
	}
}

// waitForJournal returns what the journal says. It is empty if nobody needed it.
func (x *reading) waitForJournal() record {
	if x.history == nil {
		return record{}
	}
	read := <-x.history
	x.history <- read
	return read
}

// read reads what executions undo, and schedules them.
func (x *reading) read(ctx context.Context, executions []versions.ExecutionInfo) {
	if len(executions) == 0 {
		return
	}
	made := x.chainsOf(ctx, executions)
	x.journaled = x.waitForJournal()
	for i, c := range made {
		for _, f := range executions[i].Files {
			if f.Replayable() && x.journaled.suspects[f.Key()] && !x.settled(f) {
				c.suspect = true
				x.options.Log.Warn(fmt.Sprintf("a process ended while it replayed %s: it goes last", f.Location))
			}
		}
	}
	x.made = append(x.made, made...)
	switch {
	case x.Parallel != 1 || len(x.made) >= readAhead:
		x.add()
	case !x.begun && time.Since(x.said) > sayReading:
		x.said = time.Now()
		x.options.Log.Info(fmt.Sprintf("reading what is to be undone: %d executions so far", x.count))
	}
}

// add schedules the executions that were read. In a serial replay, more executions are read before
// the first undo: nothing runs beside it, and files that need only a cloud have to come first.
func (x *reading) add() {
	if len(x.made) > 0 {
		x.begun = true
		x.schedule.add(x.ordering.chains(x.made))
		x.made = nil
	}
}

// chainsOf reads what executions undo, and makes a chain of each. It uses all cores, except in a
// serial replay.
func (x *reading) chainsOf(ctx context.Context, executions []versions.ExecutionInfo) []*chain {
	made := make([]*chain, len(executions))
	var files []versions.File
	var of []int // the index of the execution of each file
	for i, info := range executions {
		made[i] = &chain{executions: []versions.ExecutionInfo{info}}
		for _, f := range info.Files {
			if f.Replayable() {
				files, of = append(files, f), append(of, i)
			}
		}
	}
	cores := 0 // all
	if x.Parallel == 1 {
		cores = 1
	}
	heads := make([]head, len(files))
	versions.ReadFiles(ctx, x.store, files, cores, func(n int, content []byte, err error) {
		heads[n] = x.headOf(ctx, files[n], content, err)
	})
	for n, h := range heads {
		made[of[n]].add(h)
	}
	return made
}
