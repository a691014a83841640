package crashfs

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// event is one thing that happened: a call that changed the file system, or a note of what the one
// who called knew from then on.
type event struct {
	op   string
	dir  int // the inodes of the directory, and of the entry
	node int
	name string
	to   string
	data []byte
	mode fs.FileMode
	note any
}

// disk is a model of what a file system promises. An inode's data and mode are on stable storage
// when the inode was synced, an entry when its directory was; until then, both may be there or not,
// each for itself. One entry's changes happen in order, and a rename happens as one. Where an fsync
// failed, what it was for is as before it: not promised.
type disk struct {
	nodes   []*inode // 0 is the root
	pending []change // of entries, not yet promised, oldest first
}

type inode struct {
	isDir   bool
	entries map[string]int // of a directory: those promised
	content []byte         // of a file: nothing writes but at its end
	synced  int            // bytes of it promised
	mode    fs.FileMode
	promise fs.FileMode // the mode promised
}

// change is one of the entries of a directory: from "" to a name, from a name to "", or from one to
// another.
type change struct {
	dir, node int
	from, to  string
}

func newDisk() *disk { return &disk{nodes: []*inode{{isDir: true, entries: map[string]int{}}}} }

func (d *disk) apply(e event) {
	switch e.op {
	case "create":
		d.nodes = append(d.nodes, &inode{mode: 0o600, promise: 0o600})
		d.pending = append(d.pending, change{e.dir, e.node, "", e.name})
	case "mkdir":
		d.nodes = append(d.nodes, &inode{isDir: true, entries: map[string]int{}})
		d.pending = append(d.pending, change{e.dir, e.node, "", e.name})
	case "write":
		d.nodes[e.node].content = append(d.nodes[e.node].content, e.data...)
	case "chmod":
		d.nodes[e.node].mode = e.mode
	case "rename":
		d.pending = append(d.pending, change{e.dir, e.node, e.name, e.to})
	case "remove":
		d.pending = append(d.pending, change{e.dir, e.node, e.name, ""})
	case "sync":
		n := d.nodes[e.node]
		if !n.isDir {
			n.synced, n.promise = len(n.content), n.mode
			return
		}
		var rest []change
		for _, c := range d.pending {
			if c.dir == e.node {
				c.apply(n.entries)
			} else {
				rest = append(rest, c)
			}
		}
		d.pending = rest
	}
}

func (c change) apply(entries map[string]int) {
	if c.from != "" {
		delete(entries, c.from)
	}
	if c.to != "" {
		entries[c.to] = c.node
	}
}

// after reports whether c can't be on the disk without an earlier change: they are about the same
// name.
func (c change) after(earlier change) bool {
	same := func(a, b string) bool { return a != "" && a == b }
	return c.dir == earlier.dir && (same(c.from, earlier.from) || same(c.from, earlier.to) || same(c.to, earlier.from) || same(c.to, earlier.to))
}

// outcomes are subsets of the pending changes that a power loss may leave: first those of a file
// system that writes entries in order, then those of one that doesn't. There are at most some of
// the latter; which, is drawn.
func (d *disk) outcomes(random *rand.Rand, some int) [][]bool {
	n := len(d.pending)
	var all [][]bool
	for kept := 0; kept <= n; kept++ {
		subset := make([]bool, n)
		for i := range kept {
			subset[i] = true
		}
		all = append(all, subset)
	}
	for i := range some {
		subset := make([]bool, n)
		for j, c := range d.pending {
			if n < 6 { // few enough to go through them all
				subset[j] = i>>j&1 == 1
			} else {
				subset[j] = random.IntN(4) > 0
			}
			for k, earlier := range d.pending[:j] {
				subset[j] = subset[j] && (subset[k] || !c.after(earlier))
			}
		}
		all = append(all, subset)
		if n < 6 && i+1 == 1<<n {
			break
		}
	}
	return all
}

// sector is the least that is written as one. It is small so that small files can be torn, too.
const sector = 128

// tears are the ways to lose what was written to a file and not synced. Each gets the file's
// content, and how much of it is promised.
var tears = []struct {
	name string
	tear func(random *rand.Rand, content []byte, synced int) []byte
}{
	{"lost", func(_ *rand.Rand, content []byte, synced int) []byte { return content[:synced] }},
	{"whole", func(_ *rand.Rand, content []byte, _ int) []byte { return content }},
	{"cut", func(random *rand.Rand, content []byte, synced int) []byte {
		return content[:synced+random.IntN(len(content)-synced)]
	}},
	{"zeros", func(_ *rand.Rand, content []byte, synced int) []byte {
		torn := slices.Clone(content)
		clear(torn[synced:])
		return torn
	}},
	{"holes", func(random *rand.Rand, content []byte, synced int) []byte {
		torn := slices.Clone(content)
		for at := 0; at < len(torn); at += sector {
			if random.IntN(2) == 0 {
				clear(torn[max(at, synced):max(min(at+sector, len(torn)), synced)])
			}
		}
		return torn
	}},
	{"stale", func(random *rand.Rand, content []byte, synced int) []byte {
		torn := slices.Clone(content)
		for i := synced; i < len(torn); i++ {
			torn[i] = byte(random.Uint32())
		}
		return torn
	}},
}

// tree is what is on the disk when the power is back.
type tree map[string]object // by path

type object struct {
	isDir   bool
	mode    fs.FileMode
	content string
}

// crash returns the tree after a power loss that left a subset of the pending changes. tear chooses
// what became of unsynced data; an index beyond tears chooses for each file anew.
func (d *disk) crash(random *rand.Rand, kept []bool, tear int) tree {
	out := tree{}
	d.grow(out, random, kept, tear, 0, ".")
	return out
}

func (d *disk) grow(out tree, random *rand.Rand, kept []bool, tear, node int, path string) {
	n := d.nodes[node]
	if !n.isDir {
		out[path] = n.torn(random, tear)
		return
	}
	out[path] = object{isDir: true}
	entries := maps.Clone(n.entries)
	for i, c := range d.pending {
		if kept[i] && c.dir == node {
			c.apply(entries)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		d.grow(out, random, kept, tear, entries[name], path+"/"+name)
	}
}

func (n *inode) torn(random *rand.Rand, tear int) object {
	if tear == len(tears) {
		tear = random.IntN(len(tears))
	}
	o := object{mode: n.mode, content: string(n.content)}
	if n.synced < len(n.content) {
		o.content = string(tears[tear].tear(random, n.content, n.synced))
	}
	if tears[tear].name != "whole" {
		o.mode = n.promise
	}
	return o
}

// dirty reports whether a power loss now could take data of a file.
func (d *disk) dirty() bool {
	return slices.ContainsFunc(d.nodes, func(n *inode) bool { return n.synced < len(n.content) || n.mode != n.promise })
}

// sum identifies a tree.
func (t tree) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(t)) {
		o := t[path]
		_, _ = fmt.Fprintf(h, "%q %v %o %d %s\n", path, o.isDir, o.mode, len(o.content), o.content) // a hash takes everything
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// plant makes the tree at a path, in place of what is there.
func (t tree) plant(at string) error {
	if err := os.RemoveAll(at); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(t)) { // parents first
		o, full := t[path], filepath.Join(at, path)
		var err error
		if o.isDir {
			err = os.Mkdir(full, 0o700)
		} else {
			err = os.WriteFile(full, []byte(o.content), o.mode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
