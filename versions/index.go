package versions

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"iter"
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
	indexMagic = "ebb index 2\n"

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

// indexed is an execution. Its files are kept as they are encoded: a run looks at each once, and most of them
// are none that it has to know.
type indexed struct {
	dir   durable.Stamp
	files string
}

type indexedFile struct {
	name  string
	stamp durable.Stamp
	note  string
}

// encodeFiles is what [indexed] has of files.
func encodeFiles(files []indexedFile) string {
	var b []byte
	for _, f := range files {
		b = f.stamp.Append(appendText(b, f.name))
		b = appendText(b, f.note)
	}
	return string(b)
}

// all yields the files.
func (e indexed) all() iter.Seq[indexedFile] {
	return func(yield func(indexedFile) bool) {
		for c := (cutter{rest: e.files, ok: true}); c.ok && c.rest != ""; {
			if f := c.file(); !c.ok || !yield(f) {
				return
			}
		}
	}
}

// count returns how many files are of a scenario type, "" for any, and -1 if that can't be said.
func (e indexed) count(scenarioType string) (n int) {
	for f := range e.all() {
		name, err := parseFileName(f.name)
		if err != nil {
			return -1
		}
		if scenarioType == "" || scenarioType == name.scenarioType {
			n++
		}
	}
	return n
}

// whole reports whether all files of an execution can be read.
func (e indexed) whole() bool {
	c := cutter{rest: e.files, ok: true}
	for c.ok && c.rest != "" {
		c.file()
	}
	return c.ok
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
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
	b := appendText(appendText([]byte(indexMagic), x.boot), x.notes)
	b = binary.AppendUvarint(b, uint64(len(x.entries)))
	for id, e := range x.entries {
		b = appendText(e.dir.Append(appendText(b, id)), e.files)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, indexSum))
}

// parseIndex is the reverse of encode.
func parseIndex(content []byte) (*index, bool) {
	body, ok := bytes.CutPrefix(content, []byte(indexMagic))
	if !ok || len(body) < 4 || crc32.Checksum(content[:len(content)-4], indexSum) != binary.LittleEndian.Uint32(content[len(content)-4:]) {
		return nil, false
	}
	c := cutter{rest: string(body[:len(body)-4]), ok: true}
	x := &index{boot: c.text(), notes: c.text()}
	n := c.number()
	x.entries = make(map[string]indexed, n)
	for range n {
		id := c.text()
		e := indexed{c.stamp(), c.text()}
		c.ok = c.ok && e.whole()
		x.entries[id] = e
	}
	return x, c.ok && c.rest == ""
}

// cutter reads the output of encode, whose texts share its memory. Once ok is false, it reads nothing more.
type cutter struct {
	rest string
	ok   bool
}

// number reads a count of things, or of bytes, that follow.
func (c *cutter) number() int {
	var n uint64
	for i := 0; c.ok && i < len(c.rest) && i < binary.MaxVarintLen32; i++ {
		b := c.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.rest = c.rest[i+1:]
			c.ok = n <= uint64(len(c.rest))
			return int(n)
		}
	}
	c.ok = false
	return 0
}

func (c *cutter) text() string {
	n := c.number()
	if !c.ok {
		return ""
	}
	s := c.rest[:n]
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

func (c *cutter) file() indexedFile { return indexedFile{c.text(), c.stamp(), c.text()} }

// holds returns an execution of the index if the kernel confirms the names of its pending files.
func (x *index) holds(root *durable.Dir, id string) (known indexed, own durable.Info, ok bool) {
	if known, ok = x.entries[id]; !ok {
		return known, own, false
	}
	own, err := root.Lstat(id)
	return known, own, err == nil && own.Stamp() == known.dir
}

// listFrom fills in the pending files of an execution from the index, if the kernel confirms all of
// them. Otherwise info stays as it was. f selects pending files.
func (x *index) listFrom(root *durable.Dir, f Filter, info *ExecutionInfo) (ok bool) {
	known, own, ok := x.holds(root, info.ID)
	if !ok {
		return false
	}
	files := []File{}
	for indexed := range known.all() {
		name, err := parseFileName(indexed.name)
		if err != nil {
			return false
		}
		if f.ScenarioType != "" && f.ScenarioType != name.scenarioType {
			continue
		}
		var now durable.Info
		if !f.NamesOnly { // the stamp of the directory is that of its names
			if now, err = root.Lstat(info.ID + "/" + indexed.name); err != nil || now.Stamp() != indexed.stamp {
				return false
			}
		}
		files = append(files, newFile(info.ID, info.Location, name, now))
	}
	sortFiles(files)
	info.Changed, info.Files = own.Changed, files
	return true
}
