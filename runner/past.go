package runner

import (
	"context"

	"github.com/ebb-chaos/ebb/versions"
)

// past is what the journal tells of version files, by their keys. It is history and may be
// missing or torn: nothing is done or left undone because of it, only when, and what is said.
type past struct {
	// suspects are the files whose last attempt has no outcome: the process was killed,
	// or the file itself ended it.
	suspects map[string]bool
	// flushed has the SHA-256 of what ebb last wrote into a file.
	flushed map[string]string
}

// past reads the journal.
func (r *Runner) past(ctx context.Context) past {
	p := past{suspects: map[string]bool{}, flushed: map[string]string{}}
	for entry, err := range r.Store.Journal(ctx, versions.Filter{}) {
		if err != nil {
			continue // a torn line is what a crash leaves; history says so when asked
		}
		key := versions.File{Execution: entry.Execution, Name: entry.File}.Key()
		switch entry.Event {
		case versions.EventFlushed, versions.EventEdited:
			p.flushed[key] = entry.SHA256
		case versions.EventAttempt:
			p.suspects[key] = true
		case versions.EventOutcome:
			delete(p.suspects, key)
		}
	}
	return p
}
