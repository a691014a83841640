package versions

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Noter makes notes of version files. A note is a short text that says what a caller needs to know
// of a file, so that the file need not be read again.
type Noter struct {
	// Kind identifies the function Note. Notes of another kind in the index are not used.
	Kind string
	Note func(content []byte) string
	// Wanted reports whether the caller wants a file with this note. Nil: all files.
	Wanted func(note string) bool
}

func (n Noter) wants(note string) bool { return n.Wanted == nil || n.Wanted(note) }

// Noted is a pending version file.
type Noted struct {
	File
	RunUUID string
	Note    string
	// Unread says that the file could not be read, so there is no note. [Store.Read] returns the
	// error.
	Unread bool
}

// Notes returns the pending version files that a filter selects and that are wanted or could not be read,
// each with the note of its present content. It does not read most of the files that an earlier call has
// read: see the index.
func (d *Dir) Notes(ctx context.Context, f Filter, n Noter) (all []Noted, err error) {
	defer exportTo(&err)
	f.PendingOnly = true
	root, err := d.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	began := time.Now()
	names, err := root.Names()
	if err != nil {
		return nil, err
	}
	entries, _ := d.entries(names, f) // a listing reports the problems
	old := d.index.of(root)
	var mu sync.Mutex
	var lookers []*looker
	look := func() func(entry) []lookedAt {
		l := &looker{Dir: d, root: root, reader: root.NewReader(), filter: f, noter: n, old: old, read: d.reader(ctx, root)}
		mu.Lock()
		defer mu.Unlock()
		lookers = append(lookers, l)
		return l.look
	}
	var anew []lookedAt
	for x := range inOrder(ctx, entries, look) {
		all = append(all, x.files...)
		if x.complete && x.isQuiet(began.Add(-cmp.Or(d.index.quiet, indexQuiet))) {
			x.files = nil
			anew = append(anew, x)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.isAll() && root.TrueTimes() && d.index.bootID() != "" {
		d.reindex(root, n, old, lookers, anew)
	}
	return all, nil
}

// reindex replaces the index by what was confirmed and what was read anew.
func (d *Dir) reindex(root *durable.Dir, n Noter, old *index, lookers []*looker, anew []lookedAt) {
	confirmed := 0
	for _, l := range lookers {
		confirmed += len(l.confirmed)
	}
	if len(anew) == 0 && confirmed == len(old.entries) {
		return
	}
	fresh := &index{boot: d.index.bootID(), notes: n.Kind, entries: make(map[string]indexed, confirmed+len(anew))}
	for _, l := range lookers {
		for _, id := range l.confirmed {
			fresh.entries[id] = old.entries[id]
		}
	}
	for _, x := range anew {
		fresh.entries[x.id] = indexed{x.dir, encodeFiles(x.known)}
	}
	d.index.set(fresh)
	if gone := len(old.entries) - len(fresh.entries); max(len(anew), gone) >= d.index.least() {
		// If it can't be written, the next process does without it.
		_ = root.Put(indexName, indexBegun, fresh.encode())
	}
}

// isAll reports whether a filter leaves out no more than one execution.
func (f Filter) isAll() bool { return f.RunUUID == "" && f.ScenarioType == "" }

// looker reads executions for Notes, in one goroutine.
type looker struct {
	*Dir
	root      *durable.Dir
	reader    *durable.Reader
	filter    Filter
	noter     Noter
	old       *index
	confirmed []string // the executions of the index that are as they were
	read      func(File) ([]byte, error)
}

// lookedAt is an execution, and what may be stored of it in an index.
type lookedAt struct {
	id       string
	files    []Noted
	complete bool // what follows has everything that a listing of the pending files has
	dir      durable.Stamp
	known    []indexedFile
}

// isQuiet reports whether the last change of the execution and its files was before a time.
func (x lookedAt) isQuiet(before time.Time) bool {
	for _, f := range x.known {
		if !f.stamp.Changed().Before(before) {
			return false
		}
	}
	return x.dir.Changed().Before(before)
}

func (l *looker) look(e entry) []lookedAt {
	files, ok := l.fromIndex(e)
	switch {
	case !ok:
		return l.lookAnew(e)
	case len(files) == 0:
		return nil
	}
	return []lookedAt{{id: e.name, files: files}}
}

// fromIndex returns the wanted files of an execution, if the kernel confirms all that the index has of it.
func (l *looker) fromIndex(e entry) (files []Noted, ok bool) {
	if l.old.notes != l.noter.Kind {
		return nil, false
	}
	known, _, ok := l.old.holds(l.root, e.name)
	if !ok {
		return nil, false
	}
	info := l.infoOf(e)
	for f := range known.all() {
		now, err := l.root.Lstat(e.name + "/" + f.name)
		if err != nil || now.Stamp() != f.stamp {
			return nil, false
		}
		if !l.noter.wants(f.note) {
			continue
		}
		name, err := parseFileName(f.name)
		if err != nil {
			return nil, false
		}
		if l.filter.ScenarioType == "" || l.filter.ScenarioType == name.scenarioType {
			files = append(files, Noted{File: newFile(info.ID, info.Location, name, now), RunUUID: info.RunUUID, Note: f.note})
		}
	}
	slices.SortFunc(files, func(a, b Noted) int { return newestFirst(a.File, b.File) })
	l.confirmed = append(l.confirmed, e.name)
	return files, true
}

// lookAnew reads an execution without the index.
func (l *looker) lookAnew(e entry) []lookedAt {
	info := l.infoOf(e)
	own, statErr := l.root.Lstat(e.name) // before its names are read: a later change also changes this
	err := listExecution(l.root, l.reader, l.filter, &info)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed while we were listing
	}
	x := lookedAt{id: e.name, dir: own.Stamp()}
	x.complete = statErr == nil && err == nil && len(info.Problems) == 0 && l.filter.ScenarioType == ""
	for _, f := range info.Files {
		if !f.Replayable() {
			x.complete = false // the other files are read without the index
			continue
		}
		content, stamp, err := l.readNow(f)
		noted := Noted{File: f, RunUUID: info.RunUUID, Unread: err != nil}
		if err == nil {
			noted.Note = l.noter.Note(content)
		}
		x.complete = x.complete && err == nil && stamp != durable.Stamp{}
		x.known = append(x.known, indexedFile{f.Name, stamp, noted.Note})
		if noted.Unread || l.noter.wants(noted.Note) {
			x.files = append(x.files, noted)
		}
	}
	return []lookedAt{x}
}

// readNow reads a file. The stamp is taken from its descriptor, before the content is read. There
// is no stamp if the file had to be read in another way.
func (l *looker) readNow(f File) ([]byte, durable.Stamp, error) {
	if err := l.reader.Enter(l.root, f.Execution); err == nil {
		content, info, err := l.reader.ReadFile(f.Name, MaxFileSize)
		if err = errors.Join(err, l.reader.Close()); err == nil {
			return content, info.Stamp(), nil
		}
	}
	content, err := l.read(f)
	return content, durable.Stamp{}, err
}
