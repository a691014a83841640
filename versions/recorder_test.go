package versions

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

// recorder is the real system below one directory, its base. It records what was changed, and waits for no disk: what a sync is worth is for the model
// to say.
type recorder struct {
	durable.OS
	base string

	mu     sync.Mutex
	events []event
	nodes  int
	dirs   map[string]int            // inodes of directories by path
	names  map[string]map[string]int // inodes of entries by the path of their directory
	open   map[*os.File]int
}

func newRecorder(base string) *recorder {
	return &recorder{base: base, nodes: 1, dirs: map[string]int{base: 0}, names: map[string]map[string]int{base: {}}, open: map[*os.File]int{}}
}

// record adds an event. Where the path is that of a directory above the base, nothing is at stake.
func (r *recorder) record(e event) { r.events = append(r.events, e) }

// note records what is known by now.
func (r *recorder) note(known *truth) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record(event{op: "truth", truth: known.clone()})
}

func (r *recorder) add(dir *os.File, name, op string) int {
	node := r.nodes
	r.nodes++
	r.names[dir.Name()][name] = node
	r.record(event{op: op, dir: r.dir(dir), node: node, name: name})
	return node
}

// dir is the inode of a directory. One that the recorder has not seen is a mistake of the test.
func (r *recorder) dir(dir *os.File) int {
	node, ok := r.dirs[dir.Name()]
	if !ok {
		panic(fmt.Sprintf("%q is not below %q", dir.Name(), r.base))
	}
	return node
}

func (r *recorder) Create(dir *os.File, name string) (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.OS.Create(dir, name)
	if err == nil {
		r.open[f] = r.add(dir, name, "create")
	}
	return f, err
}

func (r *recorder) OpenAppend(dir *os.File, name string) (*os.File, error) {
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

func (r *recorder) Write(f *os.File, b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.OS.Write(f, b)
	r.record(event{op: "write", node: r.open[f], data: slices.Clone(b[:n])})
	return n, err
}

func (r *recorder) Chmod(f *os.File, mode fs.FileMode) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.OS.Chmod(f, mode)
	if err == nil {
		r.record(event{op: "chmod", node: r.open[f], mode: mode})
	}
	return err
}

func (r *recorder) Sync(f *os.File) error {
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

func (r *recorder) Close(f *os.File) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, f)
	return r.OS.Close(f)
}

func (r *recorder) Rename(dir *os.File, from, to string) error {
	return r.move(dir, from, to, r.OS.Rename)
}

func (r *recorder) Replace(dir *os.File, from, to string) error {
	return r.move(dir, from, to, r.OS.Replace)
}

func (r *recorder) move(dir *os.File, from, to string, rename func(dir *os.File, from, to string) error) error {
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

func (r *recorder) Unlink(dir *os.File, name string) error {
	return r.remove(dir, name, r.OS.Unlink)
}

func (r *recorder) Rmdir(dir *os.File, name string) error {
	return r.remove(dir, name, r.OS.Rmdir)
}

func (r *recorder) remove(dir *os.File, name string, remove func(dir *os.File, name string) error) error {
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

func (r *recorder) Mkdir(dir *os.File, name string) error {
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
