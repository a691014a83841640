package runner

import (
	"context"
	"fmt"

	"github.com/ebb-chaos/ebb/versions"
)

// record is what the journal tells of version files, by their keys. It is history and may be
// missing or torn: nothing is done or left undone because of it, only when, and what is said.
type record struct {
	// suspects are the files whose last attempt has no outcome: the process was killed,
	// or the file itself ended it.
	suspects map[string]bool
	// flushed has the SHA-256 of what was first written into a file.
	flushed map[string]string
}

// readJournal reads the journal.
func (r *Runner) readJournal(ctx context.Context) record {
	p := record{suspects: map[string]bool{}, flushed: map[string]string{}}
	for entry, err := range r.store.Journal(ctx, versions.Filter{}) {
		if err != nil {
			continue // a torn line is what a crash leaves; history says so when asked
		}
		key := versions.File{Execution: entry.Execution, Name: entry.File}.Key()
		switch entry.Event {
		case versions.EventFlushed: // what was edited since is known by its seal
			p.flushed[key] = entry.SHA256
		case versions.EventAttempt:
			p.suspects[key] = true
		case versions.EventOutcome:
			delete(p.suspects, key)
		}
	}
	return p
}

// journal appends an entry about a file. History is not worth stopping an undo for.
func (r *Runner) journal(ctx context.Context, f versions.File, runUUID string, e versions.Entry) {
	e.RunUUID, e.ScenarioType, e.Execution, e.File = runUUID, f.ScenarioType, f.Execution, f.Name
	if err := r.store.Append(context.WithoutCancel(ctx), e); err != nil {
		r.options.Log.Warn(fmt.Sprintf("the journal was not written: %v", err))
	}
}
