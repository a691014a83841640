package versions

import (
	"errors"
	"io/fs"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// looker reads executions for Notes, in one goroutine.
type looker struct {
	*Dir
	root   *durable.Dir
	reader *durable.Reader
	filter Filter
	noter  Noter
	old    *index
	read   func(File) ([]byte, error)
}

// lookedAt is an execution, and what may be stored of it in an index.
type lookedAt struct {
	id       string
	files    []Noted
	known    indexed
	complete bool // known has everything that a listing of the pending files has
	isNew    bool // it was not in the index
}

func (l *looker) look(e entry) []lookedAt {
	info := l.infoOf(e)
	x := lookedAt{id: e.name}
	if known, ok := l.old.listFrom(l.root, l.filter, &info); ok && l.old.notes == l.noter.Kind {
		notes := map[string]string{}
		for _, f := range known.files {
			notes[f.name] = f.note
		}
		for _, f := range info.Files {
			x.files = append(x.files, Noted{File: f, RunUUID: info.RunUUID, Note: notes[f.Name]})
		}
		x.known, x.complete = known, true
		return []lookedAt{x}
	}
	return l.lookAnew(e, x)
}

// lookAnew reads an execution without the index.
func (l *looker) lookAnew(e entry, x lookedAt) []lookedAt {
	info := l.infoOf(e)
	own, statErr := l.root.Lstat(e.name) // before its names are read: a later change also changes this
	err := listExecution(l.root, l.reader, l.filter, &info)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed while we were listing
	}
	x.known, x.isNew = indexed{dir: own.Stamp()}, true
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
		x.files = append(x.files, noted)
		x.known.files = append(x.known.files, indexedFile{f.Name, stamp, noted.Note})
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
