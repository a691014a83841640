package versions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// listAttempts bounds how often a directory is read again because its files were renamed meanwhile.
const listAttempts = 10

// minEntries is how many entries are worth a goroutine.
const minEntries = 64

// List implements Store. It reads names and inodes only; no file is opened.
func (d *Dir) List(ctx context.Context, f Filter) (_ Listing, err error) {
	defer exportTo(&err)
	listing := Listing{Executions: []ExecutionInfo{}}
	root, err := d.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return listing, nil
	}
	if err != nil {
		return listing, err
	}
	names, err := root.Names()
	if err == nil {
		err = d.listEntries(ctx, root, names, f, &listing)
	}
	slices.SortFunc(listing.Executions, func(a, b ExecutionInfo) int {
		return cmp.Or(cmp.Compare(b.Timestamp, a.Timestamp), cmp.Compare(b.ID, a.ID))
	})
	slices.SortFunc(listing.Problems, func(a, b Problem) int { return cmp.Compare(a.Location, b.Location) })
	return listing, errors.Join(err, root.Close())
}

// listEntries adds all entries of the versions directory to the listing. Each is a few system calls,
// which all cores make.
func (d *Dir) listEntries(ctx context.Context, root *durable.Dir, names []string, f Filter, listing *Listing) error {
	size := max(minEntries, (len(names)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	parts := slices.Collect(slices.Chunk(names, size))
	listings := make([]Listing, len(parts))
	var work sync.WaitGroup
	for i, part := range parts {
		work.Go(func() {
			for _, name := range part {
				if ctx.Err() != nil {
					return
				}
				d.listEntry(root, name, f, &listings[i])
			}
		})
	}
	work.Wait()
	for _, part := range listings {
		listing.Executions = append(listing.Executions, part.Executions...)
		listing.Problems = append(listing.Problems, part.Problems...)
	}
	return ctx.Err()
}

// listEntry adds one entry of the versions directory to the listing.
func (d *Dir) listEntry(root *durable.Dir, name string, f Filter, listing *Listing) {
	timestamp, runUUID, err := parseExecutionID(name)
	if err != nil {
		// lost+found is there when the versions directory is a volume of its own.
		if name != journalName && name != "lost+found" {
			listing.Problems = append(listing.Problems, Problem{d.path + "/" + oneLine(name), fmt.Sprintf("is named %q, which is no execution's <timestamp ns>-<run uuid>", name), ""})
		}
		return
	}
	if f.RunUUID != "" && f.RunUUID != runUUID || name == f.Except {
		return
	}
	info := ExecutionInfo{ID: name, RunUUID: runUUID, Timestamp: timestamp, Location: d.path + "/" + name, Files: []File{}}
	if err := listExecution(root, f, &info); errors.Is(err, fs.ErrNotExist) {
		return // removed while we were listing
	} else if err != nil {
		info.Problems = append(info.Problems, problemOf(info.Location, err))
	}
	if len(info.Files) == 0 && len(info.Problems) == 0 && (f.ScenarioType != "" || f.PendingOnly) {
		return
	}
	listing.Executions = append(listing.Executions, info)
}

func listExecution(root *durable.Dir, f Filter, info *ExecutionInfo) (err error) {
	dir, err := root.Enter(info.ID)
	if err != nil {
		// Says what it is if it is no directory; otherwise it can't be opened, and err says why.
		if entry, statErr := root.Lstat(info.ID); statErr == nil {
			return cmp.Or(root.CheckDir(info.Location, entry), err)
		}
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if info.Changed, err = dir.Changed(); err != nil {
		return err
	}
	if err := dir.Check(); err != nil {
		info.Problems = append(info.Problems, problemOf(info.Location, err))
	}
	files, problems, err := listFiles(dir, info.ID, f)
	info.Files = files
	info.Problems = append(info.Problems, problems...)
	return err
}

// listFiles returns the files that a filter selects, newest first, and what is wrong with entries.
// A file with a problem is in both: nobody may take an execution for restored because its file
// can't be read.
func listFiles(dir *durable.Dir, id string, f Filter) ([]File, []Problem, error) {
	for attempt := 1; ; attempt++ {
		files, problems, vanished, err := listFilesOnce(dir, id, f)
		if err != nil {
			return []File{}, nil, err
		}
		// A name that was there and isn't any more was probably renamed to F.executed, which a
		// listing must not miss.
		if !vanished || attempt == listAttempts {
			sortFiles(files)
			return files, problems, nil
		}
	}
}

func listFilesOnce(dir *durable.Dir, id string, f Filter) (files []File, problems []Problem, vanished bool, err error) {
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
			problems = append(problems, Problem{path + "/" + oneLine(entry), fmt.Sprintf("is named %q, which is no version file's <scenario type>_<timestamp ns>_<8 letters a-z>.star", entry), ""})
			continue
		}
		if (f.ScenarioType != "" && f.ScenarioType != name.scenarioType) || (f.PendingOnly && name.state != Pending) {
			continue
		}
		// For people: what is replayed is checked again at its descriptor.
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
			problems = append(problems, Problem{location, fmt.Sprintf("has %d bytes, want at most %d", info.Size, MaxFileSize), ""})
		}
	}
	return files, problems, vanished, nil
}

// oneLine is a name for a message: one that could begin a line of its own, or worse, is written as
// in Go.
func oneLine(name string) string {
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

// problemOf makes a problem of an error.
func problemOf(location string, err error) Problem {
	var insecure *InsecureError
	if errors.As(export(err), &insecure) {
		return Problem{insecure.Path, insecure.Problem, insecure.Remedy}
	}
	return Problem{location, err.Error(), ""}
}
