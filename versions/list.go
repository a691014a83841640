package versions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// listAttempts bounds how often a directory is read again because files were renamed meanwhile.
const listAttempts = 10

// Lister is a Store that yields its executions while it is still searching for the next ones. Call
// [Executions], which takes any store.
type Lister interface {
	// Executions yields what List returns, in the order of the filter. An entry of the store that
	// is no execution is yielded as an *EntryError, and the listing continues. Any other error ends
	// it. If the caller stops early, the rest is not read.
	Executions(ctx context.Context, f Filter) iter.Seq2[ExecutionInfo, error]
}

// EntryError is a problem of an entry of the store that belongs to no execution.
type EntryError struct{ Problem }

func (e *EntryError) Error() string { return e.Location + " " + e.What }

// Executions yields the executions of a store one after the other. Use it in place of List if there
// may be a hundred thousand: see [Lister].
func Executions(ctx context.Context, s Store, f Filter) iter.Seq2[ExecutionInfo, error] {
	if lister, ok := s.(Lister); ok {
		return lister.Executions(ctx, f)
	}
	return func(yield func(ExecutionInfo, error) bool) {
		listing, err := s.List(ctx, f)
		if err != nil {
			yield(ExecutionInfo{}, err)
			return
		}
		if f.OldestFirst {
			slices.Reverse(listing.Executions)
		}
		for _, info := range listing.Executions {
			if !yield(info, nil) {
				return
			}
		}
		for _, problem := range listing.Problems {
			if !yield(ExecutionInfo{}, &EntryError{problem}) {
				return
			}
		}
	}
}

// List implements Store. It reads only names and inodes, and opens no file.
func (d *Dir) List(ctx context.Context, f Filter) (Listing, error) {
	listing := Listing{Executions: []ExecutionInfo{}}
	f.OldestFirst = false
	for info, err := range d.Executions(ctx, f) {
		var entry *EntryError
		switch {
		case errors.As(err, &entry):
			listing.Problems = append(listing.Problems, entry.Problem)
		case err != nil:
			return listing, err
		default:
			listing.Executions = append(listing.Executions, info)
		}
	}
	return listing, nil
}

// Executions implements Lister. All cores read directories, a few ahead of the one that was yielded
// last.
func (d *Dir) Executions(ctx context.Context, f Filter) iter.Seq2[ExecutionInfo, error] {
	return func(yield func(ExecutionInfo, error) bool) {
		root, err := d.open(false)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err == nil {
			var more bool
			if more, err = d.eachExecution(ctx, root, f, yield); !more {
				_ = root.Close() // it was only read
				return
			}
			err = errors.Join(err, root.Close())
		}
		if err != nil {
			yield(ExecutionInfo{}, export(err))
		}
	}
}

// eachExecution yields the executions of an open directory, and then its problems. more is false if
// yield has returned false.
func (d *Dir) eachExecution(ctx context.Context, root *durable.Dir, f Filter, yield func(ExecutionInfo, error) bool) (more bool, err error) {
	names, err := root.Names()
	if err != nil {
		return true, err
	}
	entries, others := d.entries(names, f)
	old := &index{}
	if f.PendingOnly && len(entries) >= d.index.least() {
		old = d.index.of(root)
	}
	look := func() func(entry) []ExecutionInfo {
		reader := root.NewReader()
		return func(e entry) []ExecutionInfo { return d.listEntry(root, reader, old, e, f) }
	}
	for info := range inOrder(ctx, entries, look) {
		if !yield(info, nil) {
			return false, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return true, err
	}
	for _, name := range others {
		if !yield(ExecutionInfo{}, &EntryError{d.problemNamed(root, name)}) {
			return false, nil
		}
	}
	return true, nil
}

// entry is a name of an execution.
type entry struct {
	name      string
	timestamp int64
}

// entries returns the executions that a filter may select, in its order, from the names in a
// versions directory. It also returns the names that are no execution's, sorted.
func (d *Dir) entries(names []string, f Filter) (entries []entry, others []string) {
	entries = make([]entry, 0, len(names))
	for _, name := range names {
		timestamp, runUUID, err := parseExecutionID(name)
		switch {
		case err == nil && (f.RunUUID == "" || f.RunUUID == runUUID) && name != f.Except:
			entries = append(entries, entry{name, timestamp})
		// lost+found is there if the versions directory is a volume of its own.
		case err != nil && name != journalName && name != indexName && name != indexBegun && name != "lost+found":
			others = append(others, name)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		order := cmp.Or(cmp.Compare(b.timestamp, a.timestamp), cmp.Compare(b.name, a.name))
		if f.OldestFirst {
			return -order
		}
		return order
	})
	slices.Sort(others)
	return entries, others
}

// problemNamed says what is wrong with an entry of the versions directory that is no execution. It may
// be one that was renamed, or the versions directory may be one above or below: then it hides what is
// pending.
func (d *Dir) problemNamed(root *durable.Dir, name string) Problem {
	p := Problem{Location: d.path + "/" + oneLine(name), What: fmt.Sprintf("is named %q, which is no execution's <timestamp ns>-<run uuid>", name)}
	if file, err := parseFileName(name); err == nil && file.state == Pending {
		p.What, p.Hides = fmt.Sprintf("is a version file outside of an execution's directory: is the versions directory %q?", filepath.Dir(d.path)), true
		return p
	}
	inside := root.NewReader()
	if inside.Enter(root, name) != nil {
		return p // no directory, or one that nobody here can read
	}
	names, err := inside.Names()
	_ = inside.Close() // it was only read
	switch {
	case err != nil:
	case slices.ContainsFunc(names, IsExecutionID):
		p.What, p.Hides = p.What+fmt.Sprintf(", and executions are in it: is it the versions directory %q?", d.path), true
	case slices.ContainsFunc(names, seemsPending):
		p.What, p.Hides = p.What+", and version files are in it", true
	}
	return p
}

// seemsPending reports whether a name is a pending version file's, or was meant to be.
func seemsPending(name string) bool {
	file, err := parseFileName(name)
	if err != nil {
		return strings.EqualFold(filepath.Ext(name), starSuffix)
	}
	return file.state == Pending
}

// listEntry lists one execution. It returns nothing if the execution was removed, or has nothing
// that the filter selects.
func (d *Dir) listEntry(root *durable.Dir, reader *durable.Reader, old *index, e entry, f Filter) []ExecutionInfo {
	info := d.infoOf(e)
	if !old.listFrom(root, f, &info) {
		if err := listExecution(root, reader, f, &info); errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we were listing
		} else if err != nil {
			info.Problems = append(info.Problems, problemOf(info.Location, err))
		}
	}
	if len(info.Files) == 0 && len(info.Problems) == 0 && (f.ScenarioType != "" || f.PendingOnly) {
		return nil
	}
	return []ExecutionInfo{info}
}

// infoOf returns what the name of an execution says.
func (d *Dir) infoOf(e entry) ExecutionInfo {
	_, runUUID, _ := strings.Cut(e.name, "-")
	return ExecutionInfo{ID: e.name, RunUUID: runUUID, Timestamp: e.timestamp, Location: d.path + "/" + e.name, Files: []File{}}
}

func listExecution(root *durable.Dir, reader *durable.Reader, f Filter, info *ExecutionInfo) (err error) {
	if err := reader.Enter(root, info.ID); err != nil {
		// If it is no directory, Lstat says what it is. Otherwise it can't be opened, and err says
		// why.
		if entry, statErr := root.Lstat(info.ID); statErr == nil {
			return cmp.Or(root.CheckDir(info.Location, entry), err)
		}
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	own, err := reader.Stat()
	if err != nil {
		return err
	}
	info.Changed = own.Changed
	if err := reader.CheckDir(info.Location, own); err != nil {
		info.Problems = append(info.Problems, problemOf(info.Location, err))
	}
	files, problems, err := listFiles(reader, info.ID, f)
	info.Files = files
	info.Problems = append(info.Problems, problems...)
	return err
}

// looked is a directory whose entries are listed: a *durable.Dir or a *durable.Reader.
type looked interface {
	Path() string
	Names() ([]string, error)
	Lstat(name string) (durable.Info, error)
	CheckFile(path string, info durable.Info) error
}

// listFiles returns the files that a filter selects, newest first, and the problems of entries. A
// file with a problem is in both: an execution whose file can't be read must not count as restored.
func listFiles(dir looked, id string, f Filter) ([]File, []Problem, error) {
	for attempt := 1; ; attempt++ {
		files, problems, vanished, err := listFilesOnce(dir, id, f)
		if err != nil {
			return []File{}, nil, err
		}
		// A name that is gone was probably renamed to F.executed, which a listing must not miss.
		if !vanished || attempt == listAttempts {
			sortFiles(files)
			return files, problems, nil
		}
	}
}

func listFilesOnce(dir looked, id string, f Filter) (files []File, problems []Problem, vanished bool, err error) {
	names, err := dir.Names()
	if err != nil {
		return nil, nil, false, err
	}
	files = make([]File, 0, len(names))
	path := dir.Path()
	for _, entry := range names {
		if isBookkeeping(entry) {
			continue
		}
		location := path + "/" + entry
		name, err := parseFileName(entry)
		if err != nil {
			problems = append(problems, Problem{
				Location: path + "/" + oneLine(entry), What: fmt.Sprintf("is named %q, which is no version file's <scenario type>_<timestamp ns>_<8 letters a-z>.star", entry),
				Hides: seemsPending(entry),
			})
			continue
		}
		if (f.ScenarioType != "" && f.ScenarioType != name.scenarioType) || (f.PendingOnly && name.state != Pending) {
			continue
		}
		if f.NamesOnly {
			files = append(files, newFile(id, path, name, durable.Info{}))
			continue
		}
		// For people only: before a replay, the file is checked again at its descriptor.
		info, err := dir.Lstat(entry)
		if err == nil {
			err = dir.CheckFile(location, info)
		}
		if errors.Is(err, fs.ErrNotExist) {
			vanished = true
			continue
		}
		files = append(files, newFile(id, path, name, info))
		if err != nil {
			problems = append(problems, problemOf(location, err))
		} else if info.Size > MaxFileSize && name.kind == KindVersion {
			problems = append(problems, Problem{Location: location, What: fmt.Sprintf("has %d bytes, want at most %d", info.Size, MaxFileSize)})
		}
	}
	return files, problems, vanished, nil
}

// oneLine returns a name for a message. It is quoted as in Go if it could break the line.
func oneLine(name string) string {
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

// problemOf makes a problem from an error.
func problemOf(location string, err error) Problem {
	var insecure *InsecureError
	if errors.As(export(err), &insecure) {
		return Problem{Location: insecure.Path, What: insecure.Problem, Remedy: insecure.Remedy}
	}
	return Problem{Location: location, What: err.Error()}
}
