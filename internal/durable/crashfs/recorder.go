package crashfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Recorder is the real system below one directory, its base. It records what was changed, and waits
// for no disk: what a sync is worth is for the model to say.
type Recorder struct {
	durable.OS
	base string

	mu     sync.Mutex
	events []event
	nodes  int
	dirs   map[string]int            // inodes of directories by path
	names  map[string]map[string]int // inodes of entries by the path of their directory
	open   map[*os.File]int
}

// NewRecorder returns a recorder of what happens below a directory that is there and empty.
func NewRecorder(base string) *Recorder {
	return &Recorder{base: base, nodes: 1, dirs: map[string]int{base: 0}, names: map[string]map[string]int{base: {}}, open: map[*os.File]int{}}
}

// record adds an event. Where the path is that of a directory above the base, nothing is at stake.
func (r *Recorder) record(e event) { r.events = append(r.events, e) }

// Note records what somebody who uses the system may count on from now on. It is printed with %+v
// to tell states apart, and must not change any more.
func (r *Recorder) Note(known any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record(event{op: "note", note: known})
}

// Base is the directory that is recorded.
func (r *Recorder) Base() string { return r.base }

// Len is how many events were recorded.
func (r *Recorder) Len() int { return len(r.events) }

// Tail prints the last events before one, and that.
func (r *Recorder) Tail(i int) string {
	text := ""
	for _, e := range r.events[max(i-11, 0) : i+1] {
		if e.op == "note" {
			continue
		}
		text += fmt.Sprintf("\n\t%s %d/%d %s %s", e.op, e.dir, e.node, e.name, e.to)
	}
	return text
}

func (r *Recorder) add(dir *os.File, name, op string) int {
	node := r.nodes
	r.nodes++
	r.names[dir.Name()][name] = node
	r.record(event{op: op, dir: r.dir(dir), node: node, name: name})
	return node
}

// dir is the inode of a directory. One that the recorder has not seen is a mistake of the test.
func (r *Recorder) dir(dir *os.File) int {
	node, ok := r.dirs[dir.Name()]
	if !ok {
		panic(fmt.Sprintf("%q is not below %q", dir.Name(), r.base))
	}
	return node
}

// Create implements durable.System.
func (r *Recorder) Create(dir *os.File, name string) (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.OS.Create(dir, name)
	if err == nil {
		r.open[f] = r.add(dir, name, "create")
	}
	return f, err
}

// OpenAppend implements durable.System.
func (r *Recorder) OpenAppend(dir *os.File, name string) (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.OS.OpenAppend(dir, name)
	if err == nil {
		node, ok := r.names[dir.Name()][name]
		if !ok {
			node = r.add(dir, name, "create")
		}
		r.open[f] = node
	}
	return f, err
}

// Write implements durable.System.
func (r *Recorder) Write(f *os.File, b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.OS.Write(f, b)
	r.record(event{op: "write", node: r.open[f], data: slices.Clone(b[:n])})
	return n, err
}

// Chmod implements durable.System.
func (r *Recorder) Chmod(f *os.File, mode fs.FileMode) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.OS.Chmod(f, mode)
	if err == nil {
		r.record(event{op: "chmod", node: r.open[f], mode: mode})
	}
	return err
}

// Sync implements durable.System.
func (r *Recorder) Sync(f *os.File) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	node, isFile := r.open[f]
	if !isFile {
		if !strings.HasPrefix(f.Name()+"/", r.base+"/") {
			return nil // above the base, where everything is old
		}
		node = r.dir(f)
	}
	r.record(event{op: "sync", node: node})
	return nil
}

// Close implements durable.System.
func (r *Recorder) Close(f *os.File) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, f)
	return r.OS.Close(f)
}

// Rename implements durable.System.
func (r *Recorder) Rename(dir *os.File, from, to string) error {
	return r.move(dir, from, to, r.OS.Rename)
}

// Replace implements durable.System.
func (r *Recorder) Replace(dir *os.File, from, to string) error {
	return r.move(dir, from, to, r.OS.Replace)
}

func (r *Recorder) move(dir *os.File, from, to string, rename func(dir *os.File, from, to string) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := rename(dir, from, to)
	if err == nil {
		names := r.names[dir.Name()]
		names[to] = names[from]
		delete(names, from)
		r.record(event{op: "rename", dir: r.dir(dir), node: names[to], name: from, to: to})
	}
	return err
}

// Unlink implements durable.System.
func (r *Recorder) Unlink(dir *os.File, name string) error {
	return r.remove(dir, name, r.OS.Unlink)
}

// Rmdir implements durable.System.
func (r *Recorder) Rmdir(dir *os.File, name string) error {
	return r.remove(dir, name, r.OS.Rmdir)
}

func (r *Recorder) remove(dir *os.File, name string, remove func(dir *os.File, name string) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := remove(dir, name)
	if err == nil {
		names := r.names[dir.Name()]
		r.record(event{op: "remove", dir: r.dir(dir), node: names[name], name: name})
		delete(names, name)
	}
	return err
}

// Mkdir implements durable.System.
func (r *Recorder) Mkdir(dir *os.File, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.OS.Mkdir(dir, name)
	if err == nil {
		node := r.add(dir, name, "mkdir")
		path := filepath.Join(dir.Name(), name)
		r.dirs[path], r.names[path] = node, map[string]int{}
	}
	return err
}
