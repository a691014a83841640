package runner

import (
	"context"
	"strings"

	"github.com/ebb-chaos/ebb/versions"
)

// fileKey names a version file as the journal does.
type fileKey struct{ execution, name string }

// keyOf is a file's key whatever its state: the journal has the name of the pending one.
func keyOf(f versions.File) fileKey {
	return fileKey{f.Execution, strings.TrimSuffix(f.Name, ".executed")}
}

// past is what the journal tells of version files. It is history and may be missing or
// torn: nothing is done or left undone because of it, only when, and what is said.
type past struct {
	// suspects are the files whose last attempt has no outcome: the process was killed,
	// or the file itself ended it.
	suspects map[fileKey]bool
	// flushed has the SHA-256 of what ebb last wrote into a file.
	flushed map[fileKey]string
}

// past reads the journal.
func (r *Runner) past(ctx context.Context) past {
	p := past{suspects: map[fileKey]bool{}, flushed: map[fileKey]string{}}
	for entry, err := range r.Store.Journal(ctx, versions.Filter{}) {
		if err != nil {
			continue // a torn line is what a crash leaves; history says so when asked
		}
		key := fileKey{entry.Execution, entry.File}
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
