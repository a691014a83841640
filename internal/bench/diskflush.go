package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ebb-chaos/ebb/versions"
)

// diskFlushRow writes version files to the disk, as a change waits for it. Both processes are this program:
// ebb's own start is in other rows.
func diskFlushRow(size int) row {
	workspace := fmt.Sprintf("disk-flush-%d", size)
	return row{
		Name: fmt.Sprintf("flush/%d", size), What: fmt.Sprintf("flush %d version files to disk", size), Size: size, Reach: 1.15, repeats: 5,
		BareIs: "create, write, fsync, rename, fsync of the directory", cleanup: removeWorkspace(workspace),
		prepare: func(_ context.Context, b *bench) (step, step, error) {
			n := 0
			in := func(command ...string) step {
				return func(context.Context) (process, error) {
					n++
					dir := filepath.Join(b.dir, workspace, fmt.Sprint(n))
					return process{Path: b.self, Args: append(command, dir, fmt.Sprint(size))}, os.MkdirAll(filepath.Dir(dir), 0o700)
				}
			}
			return in("disk-flush"), in("bare", "disk-flush"), nil
		},
	}
}

// diskFlushArgs are a directory and how many files to write.
func diskFlushArgs(args []string) (dir string, n int, err error) {
	if len(args) != 2 {
		return "", 0, fmt.Errorf("got %q, want a directory and a number", args)
	}
	n, err = strconv.Atoi(args[1])
	return args[0], n, err
}

// diskFlush writes version files as a run does.
func diskFlush(ctx context.Context, args []string) (err error) {
	path, n, err := diskFlushArgs(args)
	if err != nil {
		return err
	}
	store, err := versions.NewDir(path)
	if err != nil {
		return err
	}
	e, err := store.Begin(ctx, runOf(0))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	for range n {
		if _, err := e.Flush(ctx, "hog_scenarios", flushed); err != nil {
			return err
		}
	}
	return nil
}

// bareDiskFlush writes the same content with the fewest calls that make it last.
func bareDiskFlush(args []string) error {
	path, n, err := diskFlushArgs(args)
	if err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	for i := range n {
		name := filepath.Join(path, fmt.Sprintf("file-%d", i))
		f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
		if err != nil {
			return err
		}
		_, err = f.Write(flushed)
		if err := errors.Join(err, f.Sync(), f.Close(), os.Rename(name+".tmp", name), dir.Sync()); err != nil {
			return err
		}
	}
	return dir.Close()
}
