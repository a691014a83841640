// Package errorfs is a file system that fails at chosen calls, for tests of what is built on
// package durable.
//
// Use [New] on another system, the real one or one that records, and [FS.Inject] with a function
// that chooses what fails: the third call, each write, everything from now on. [FS.Calls] has the
// order of what was done, which is what makes a write durable.
//
// Avoid judging a store by its error alone: look at what is on the disk afterwards, and try the
// operation again without the fault.
//
// Promised: a call that fails has no effect, but for two. Close closes all the same, as the kernel
// does. Write writes half, as a full disk does.
package errorfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// FS is a system that records its calls and fails at chosen ones. Its methods may be called from
// several goroutines.
type FS struct {
	durable.System

	mu    sync.Mutex
	calls []string
	fail  Fault
}

// Fault chooses the calls that fail, by their number since the last Inject, from 1 on, and what
// they do: nil lets a call go on.
type Fault func(call int, op string) error

// ErrShort as a fault has a write write half of what it got, and report no error: what a careless
// file system does.
var ErrShort = errors.New("short write")

// New returns a system on another one, which never fails as yet.
func New(under durable.System) *FS { return &FS{System: under} }

func (f *FS) try(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op+" "+name)
	if f.fail == nil {
		return nil
	}
	if err := f.fail(len(f.calls), op); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return nil
}

// Call returns one of the calls since the last Inject, by its number. A Fault may ask for the one
// it decides on.
func (f *FS) Call(number int) string { return f.calls[number-1] }

// Create implements durable.System.
func (f *FS) Create(dir *os.File, name string) (*os.File, error) {
	if err := f.try("create", name); err != nil {
		return nil, err
	}
	return f.System.Create(dir, name)
}

// OpenAppend implements durable.System.
func (f *FS) OpenAppend(dir *os.File, name string) (*os.File, error) {
	if err := f.try("append", name); err != nil {
		return nil, err
	}
	return f.System.OpenAppend(dir, name)
}

// Write implements durable.System.
func (f *FS) Write(file *os.File, b []byte) (int, error) {
	if err := f.try("write", filepath.Base(file.Name())); err != nil {
		n, writeErr := f.System.Write(file, b[:len(b)/2]) // what a full disk leaves
		if errors.Is(err, ErrShort) {
			return n, writeErr
		}
		return n, err
	}
	return f.System.Write(file, b)
}

// Chmod implements durable.System.
func (f *FS) Chmod(file *os.File, mode fs.FileMode) error {
	if err := f.try("chmod", filepath.Base(file.Name())); err != nil {
		return err
	}
	return f.System.Chmod(file, mode)
}

// Sync implements durable.System.
func (f *FS) Sync(file *os.File) error {
	if err := f.try("sync", filepath.Base(file.Name())); err != nil {
		return err
	}
	return f.System.Sync(file)
}

// Close implements durable.System.
func (f *FS) Close(file *os.File) error {
	// Closed all the same, as the kernel does; only the error is injected.
	return errors.Join(f.try("close", filepath.Base(file.Name())), f.System.Close(file))
}

// Rename implements durable.System.
func (f *FS) Rename(dir *os.File, from, to string) error {
	if err := f.try("rename", to); err != nil {
		return err
	}
	return f.System.Rename(dir, from, to)
}

// Replace implements durable.System.
func (f *FS) Replace(dir *os.File, from, to string) error {
	if err := f.try("replace", to); err != nil {
		return err
	}
	return f.System.Replace(dir, from, to)
}

// Unlink implements durable.System.
func (f *FS) Unlink(dir *os.File, name string) error {
	if err := f.try("unlink", name); err != nil {
		return err
	}
	return f.System.Unlink(dir, name)
}

// Mkdir implements durable.System.
func (f *FS) Mkdir(dir *os.File, name string) error {
	if err := f.try("mkdir", name); err != nil {
		return err
	}
	return f.System.Mkdir(dir, name)
}

// Rmdir implements durable.System.
func (f *FS) Rmdir(dir *os.File, name string) error {
	if err := f.try("rmdir", name); err != nil {
		return err
	}
	return f.System.Rmdir(dir, name)
}

// Inject makes f forget its calls and choose new ones to fail; nil lets all go on.
func (f *FS) Inject(fail Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.fail = nil, fail
}

// Calls returns the calls since the last Inject, each as its operation and the name it was about.
func (f *FS) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}
