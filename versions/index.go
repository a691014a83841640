package versions

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// The index saves a run most of the work of reading the pending files of other runs. It is no state
// of the store: without it, the store works the same. An entry is used only if the kernel confirms
// it now. For an execution, the index has the stamp of its directory and the names of its pending
// files. For each file, it has the stamp and the note of its content. A stamp has the inode and its
// change time, which nobody can set:
//
//   - If a file is created, removed, renamed or replaced, the stamp of its directory changes.
//   - If a file is written to, or its mode, owner or names change, its own stamp changes.
//   - A new execution is not in the index. One that was restored from a backup has other inodes.
//
// An execution that changed less than [indexQuiet] before it was read is left out, because a second
// change could have the same time. An index of another boot is not used: a power loss can take back
// a write and keep its time. The index is not used either on a file system whose times come from
// another machine.
//
// So it needs no lock. Each process replaces it with what it has read itself. Each line stands
// alone, whoever wrote it.
const (
	indexName  = ".index"
	indexBegun = ".index-new"
	indexMagic = "ebb index 1\n"

	// maxIndex is the size of an index of 200,000 files.
	maxIndex = 64 << 20
	// indexFrom is the least number of executions for which an index saves time.
	indexFrom = 64
	// indexQuiet is far longer than the resolution of the times of any file system.
	indexQuiet = rootQuiet
)

// index has what was read of executions, by their IDs.
type index struct {
	boot    string // the boot on which that was
	notes   string // what kind of notes it has: see Noter
	entries map[string]indexed
}

type indexed struct {
	dir   durable.Stamp
	files []indexedFile
}

type indexedFile struct {
	name  string
	stamp durable.Stamp
	note  string
}

// sharedIndex is the index that this process has.
type sharedIndex struct {
	mu   sync.Mutex
	read bool
	has  *index

	// For tests; zero means the constants above.
	quiet time.Duration
	from  int
	boot  string
}

func (s *sharedIndex) bootID() string { return cmp.Or(s.boot, thisBoot().id) }
func (s *sharedIndex) least() int     { return cmp.Or(s.from, indexFrom) }

// of returns the index of this process, or the one that another process has written. It is never
// nil.
func (s *sharedIndex) of(root *durable.Dir) *index {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.read {
		s.read, s.has = true, readIndex(root, s.bootID())
	}
	return s.has
}

func (s *sharedIndex) set(x *index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.has = true, x
}

func readIndex(root *durable.Dir, boot string) *index {
	none := &index{}
	if boot == "" || !root.TrueTimes() {
		return none
	}
	content, err := root.ReadFile(indexName, maxIndex)
	if err != nil {
		return none
	}
	if x, ok := parseIndex(content); ok && x.boot == boot {
		return x
	}
	return none
}

var indexSum = crc32.MakeTable(crc32.Castagnoli)

// encode prints an index.
func (x *index) encode() []byte {
	b := []byte(indexMagic)
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text(x.boot)
	text(x.notes)
	b = binary.AppendUvarint(b, uint64(len(x.entries)))
	for id, e := range x.entries {
		text(id)
		b = e.dir.Append(b)
		b = binary.AppendUvarint(b, uint64(len(e.files)))
		for _, f := range e.files {
			text(f.name)
			b = f.stamp.Append(b)
			text(f.note)
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, indexSum))
}

// parseIndex is the reverse of encode.
func parseIndex(content []byte) (*index, bool) {
	body, ok := bytes.CutPrefix(content, []byte(indexMagic))
	if !ok || len(body) < 4 || crc32.Checksum(content[:len(content)-4], indexSum) != binary.LittleEndian.Uint32(content[len(content)-4:]) {
		return nil, false
	}
	c := cutter{rest: body[:len(body)-4], ok: true}
	x := &index{boot: c.text(), notes: c.text()}
	n := c.number()
	x.entries = make(map[string]indexed, n)
	for range n {
		id := c.text()
		e := indexed{dir: c.stamp()}
		if files := c.number(); files > 0 {
			e.files = make([]indexedFile, files)
		}
		for i := range e.files {
			e.files[i] = indexedFile{c.text(), c.stamp(), c.text()}
		}
		x.entries[id] = e
	}
	return x, c.ok && len(c.rest) == 0
}

// cutter reads the output of encode. Once ok is false, it reads nothing more.
type cutter struct {
	rest []byte
	ok   bool
}

// number reads a count of things, or of bytes, that follow.
func (c *cutter) number() int {
	n, used := binary.Uvarint(c.rest)
	if c.ok = c.ok && used > 0 && n <= uint64(len(c.rest)); !c.ok {
		return 0
	}
	c.rest = c.rest[used:]
	return int(n)
}

func (c *cutter) text() string {
	n := c.number()
	if c.ok = c.ok && n <= len(c.rest); !c.ok {
		return ""
	}
	s := string(c.rest[:n])
	c.rest = c.rest[n:]
	return s
}

func (c *cutter) stamp() durable.Stamp {
	if !c.ok {
		return durable.Stamp{}
	}
	s, rest, ok := durable.CutStamp(c.rest)
	c.rest, c.ok = rest, ok
	return s
}

// listFrom fills in the pending files of an execution from the index, if the kernel confirms all of
// them. Otherwise info stays as it was. f selects pending files.
func (x *index) listFrom(root *durable.Dir, f Filter, info *ExecutionInfo) (known indexed, ok bool) {
	known, ok = x.entries[info.ID]
	if !ok {
		return known, false
	}
	own, err := root.Lstat(info.ID)
	if err != nil || own.Stamp() != known.dir {
		return known, false
	}
	files := make([]File, 0, len(known.files))
	for _, indexed := range known.files {
		name, err := parseFileName(indexed.name)
		if err != nil {
			return known, false
		}
		if f.ScenarioType != "" && f.ScenarioType != name.scenarioType {
			continue
		}
		var now durable.Info
		if !f.NamesOnly { // the stamp of the directory is that of its names
			if now, err = root.Lstat(info.ID + "/" + indexed.name); err != nil || now.Stamp() != indexed.stamp {
				return known, false
			}
		}
		files = append(files, newFile(info.ID, info.Location, name, now))
	}
	sortFiles(files)
	info.Changed, info.Files = own.Changed, files
	return known, true
}

// Noter makes notes of version files. A note is a short text that says what a caller needs to know
// of a file, so that the file need not be read again.
type Noter struct {
	// Kind identifies the function Note. Notes of another kind in the index are not used.
	Kind string
	Note func(content []byte) string
}

// Noted is a pending version file.
type Noted struct {
	File
	RunUUID string
	Note    string
	// Unread says that the file could not be read, so there is no note. [Store.Read] returns the
	// error.
	Unread bool
}

// Notes returns the pending version files that a filter selects, each with the note of its present
// content. It does not read most of the files that an earlier call has read: see the index.
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
	look := func() func(entry) []lookedAt {
		l := &looker{Dir: d, root: root, reader: root.NewReader(), filter: f, noter: n, old: old, read: d.reader(ctx, root)}
		return l.look
	}
	fresh := &index{boot: d.index.bootID(), notes: n.Kind, entries: make(map[string]indexed, len(entries))}
	news := 0
	for x := range inOrder(ctx, entries, look) {
		all = append(all, x.files...)
		if x.known.isQuiet(began.Add(-cmp.Or(d.index.quiet, indexQuiet))) && x.complete {
			fresh.entries[x.id] = x.known
			if x.isNew {
				news++
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !f.isAll() || fresh.boot == "" || !root.TrueTimes() {
		return all, nil
	}
	d.index.set(fresh)
	if gone := len(old.entries) - len(fresh.entries); max(news, gone) >= d.index.least() {
		// If it can't be written, the next process does without it.
		_ = root.Put(indexName, indexBegun, fresh.encode())
	}
	return all, nil
}

// isAll reports whether a filter leaves out no more than one execution.
func (f Filter) isAll() bool { return f.RunUUID == "" && f.ScenarioType == "" }

// isQuiet reports whether the last change of the execution and its files was before a time.
func (e indexed) isQuiet(before time.Time) bool {
	for _, f := range e.files {
		if !f.stamp.Changed().Before(before) {
			return false
		}
	}
	return e.dir.Changed().Before(before)
}
