package runner

import (
	"context"
	"fmt"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
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
	// undoes has what files were written for, as far as a line of the journal holds it.
	undoes map[string][]builtins.Ref
}

// readJournal reads the journal.
func (r *Runner) readJournal(ctx context.Context) record {
	p := record{suspects: map[string]bool{}, flushed: map[string]string{}, undoes: map[string][]builtins.Ref{}}
	for entry, err := range r.store.Journal(ctx, versions.Filter{}) {
		if err != nil {
			continue // a torn line is what a crash leaves; history says so when asked
		}
		key := versions.File{Execution: entry.Execution, Name: entry.File}.Key()
		switch entry.Event {
		case versions.EventFlushed: // what was edited since is known by its seal
			p.flushed[key] = entry.SHA256
			p.undoes[key] = subjectsIn(entry.Undoes)
		case versions.EventAttempt:
			p.suspects[key] = true
		case versions.EventOutcome:
			delete(p.suspects, key)
		}
	}
	return p
}

// mostSubjects is how much of a line of the journal they take, in bytes: a line holds 4 KiB.
const mostSubjects = 1024

// subjects is how the journal has what a file is for: the first of it, each on a line that ends.
func subjects(undoes []builtins.Ref) string {
	var lines strings.Builder
	for _, r := range undoes {
		line := r.Kind + "\t" + r.Namespace + "\t" + r.Name + "\n"
		if lines.Len()+len(line) > mostSubjects {
			break
		}
		lines.WriteString(line)
	}
	return lines.String()
}

// subjectsIn reads what subjects wrote.
func subjectsIn(lines string) []builtins.Ref {
	var refs []builtins.Ref
	for line := range strings.Lines(lines) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(words) == 3 && strings.HasSuffix(line, "\n") {
			refs = append(refs, builtins.Ref{Kind: words[0], Namespace: words[1], Name: words[2]})
		}
	}
	return refs
}

// journal appends an entry about a file. History is not worth stopping an undo for.
func (r *Runner) journal(ctx context.Context, f versions.File, runUUID string, e versions.Entry) {
	r.sayJournal(r.store.Append(context.WithoutCancel(ctx), about(f, runUUID, e)))
}

// journal appends an entry as [Runner.journal] does, and does not wait for the disk: it says what a process
// was at that died, and for that the page cache is enough. Whoever calls it ends with syncJournal.
func (p *replayer) journal(ctx context.Context, f versions.File, runUUID string, e versions.Entry) {
	lazy, ok := p.store.(versions.LazyJournal)
	if !ok {
		p.Runner.journal(ctx, f, runUUID, e)
		return
	}
	p.sayJournal(lazy.AppendLazily(context.WithoutCancel(ctx), about(f, runUUID, e)))
}

// syncJournal waits until all of the journal is on stable storage.
func (r *Runner) syncJournal(ctx context.Context) {
	if lazy, ok := r.store.(versions.LazyJournal); ok {
		r.sayJournal(lazy.SyncJournal(context.WithoutCancel(ctx)))
	}
}

func (r *Runner) sayJournal(err error) {
	if err != nil {
		r.options.Log.Warn(fmt.Sprintf("the journal was not written: %v", err))
	}
}

// about is an entry about a file.
func about(f versions.File, runUUID string, e versions.Entry) versions.Entry {
	e.RunUUID, e.ScenarioType, e.Execution, e.File = runUUID, f.ScenarioType, f.Execution, f.Name
	return e
}
