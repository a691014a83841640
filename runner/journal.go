package runner

import (
	"context"
	"fmt"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// record is what the journal says of version files, by their keys. The journal is history: it may
// be missing or damaged. It affects the order of undos and the log, and never whether a file is
// undone.
type record struct {
	// suspects are the files whose last attempt has no outcome: the process was killed, perhaps by
	// the code of the file.
	suspects map[string]bool
	// flushed has the SHA-256 of the first content of a file.
	flushed map[string]string
	// undoes has the refs that files were written for, as far as a journal line can hold them.
	undoes map[string][]builtins.Ref
}

// readJournal reads the journal.
func (r *Runner) readJournal(ctx context.Context) record {
	p := record{suspects: map[string]bool{}, flushed: map[string]string{}, undoes: map[string][]builtins.Ref{}}
	for entry, err := range r.store.Journal(ctx, versions.Filter{}) {
		if err != nil {
			continue // a crash can leave a cut-off line; the command history reports it
		}
		key := versions.File{Execution: entry.Execution, Name: entry.File}.Key()
		switch entry.Event {
		case versions.EventFlushed: // a later edit shows in the seal
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

// mostSubjects is how many bytes of a journal line the refs may take. A line has 4 KiB.
const mostSubjects = 1024

// subjects returns the refs of a file as the journal has them: one on each line, as many as fit.
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

// subjectsIn reads the output of subjects.
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

// journal appends an entry about a file. An error is a warning: the undo must not stop for it.
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
