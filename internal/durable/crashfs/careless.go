package crashfs

import (
	"io/fs"
	"os"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Careless is a system that leaves out what it should have done, for tests of a test: what it does
// to a store, crashes must find. What is nil is done.
type Careless struct {
	durable.System
	Forgets  func(f *os.File) bool // to sync it
	NoChmod  bool
	Renames  func(s durable.System, dir *os.File, from, to string) error
	Replaces func(s durable.System, dir *os.File, from, to string) error
}

// Sync implements durable.System.
func (c Careless) Sync(f *os.File) error {
	if c.Forgets != nil && c.Forgets(f) {
		return nil
	}
	return c.System.Sync(f)
}

// Chmod implements durable.System.
func (c Careless) Chmod(f *os.File, mode fs.FileMode) error {
	if c.NoChmod {
		return nil
	}
	return c.System.Chmod(f, mode)
}

// Rename implements durable.System.
func (c Careless) Rename(dir *os.File, from, to string) error {
	if c.Renames != nil {
		return c.Renames(c.System, dir, from, to)
	}
	return c.System.Rename(dir, from, to)
}

// Replace implements durable.System.
func (c Careless) Replace(dir *os.File, from, to string) error {
	if c.Replaces != nil {
		return c.Replaces(c.System, dir, from, to)
	}
	return c.System.Replace(dir, from, to)
}
