package versions

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/crashfs"
)

func isTempFile(f *os.File) bool { return durable.IsTemp(filepath.Base(f.Name())) }

func isNamed(f *os.File, name string) bool { return filepath.Base(f.Name()) == name }

func isExecution(f *os.File) bool {
	_, _, err := parseExecutionID(filepath.Base(f.Name()))
	return err == nil
}

// unlinkFirst gives way before there is something to give way to.
func unlinkFirst(s durable.System, dir *os.File, from, to string) error {
	return errors.Join(s.Unlink(dir, to), s.Rename(dir, from, to))
}

// copyAndUnlink is what mv does between file systems.
func copyAndUnlink(s durable.System, dir *os.File, from, to string) error {
	content, err := os.ReadFile(filepath.Join(dir.Name(), from))
	if err != nil {
		return err
	}
	f, err := s.Create(dir, to)
	if err != nil {
		return err
	}
	_, err = s.Write(f, content)
	return errors.Join(err, s.Chmod(f, fileMode), s.Close(f), s.Unlink(dir, from))
}

// A store that is careless about one thing loses something, and the crashes find it: a test of the
// test.
func TestCrashFindsMutants(t *testing.T) {
	for name, mutate := range map[string]func(s durable.System) crashfs.Careless{
		"no sync of files":      func(s durable.System) crashfs.Careless { return crashfs.Careless{System: s, Forgets: isTempFile} },
		"no sync of executions": func(s durable.System) crashfs.Careless { return crashfs.Careless{System: s, Forgets: isExecution} },
		"no sync of the versions directory": func(s durable.System) crashfs.Careless {
			return crashfs.Careless{System: s, Forgets: func(f *os.File) bool { return isNamed(f, "versions") }}
		},
		"no sync of its parent": func(s durable.System) crashfs.Careless {
			return crashfs.Careless{System: s, Forgets: func(f *os.File) bool { return isNamed(f, "deep") }}
		},
		"no sync of its parent's parent": func(s durable.System) crashfs.Careless {
			return crashfs.Careless{System: s, Forgets: func(f *os.File) bool {
				return !isNamed(f, "deep") && !isNamed(f, "versions") && !isExecution(f) && !isTempFile(f) && !isNamed(f, journalName)
			}}
		},
		"no sync of the journal": func(s durable.System) crashfs.Careless {
			return crashfs.Careless{System: s, Forgets: func(f *os.File) bool { return isNamed(f, journalName) }}
		},
		"no mode": func(s durable.System) crashfs.Careless { return crashfs.Careless{System: s, NoChmod: true} },
		"a sync of files after the rename": func(s durable.System) crashfs.Careless {
			return crashfs.Careless{System: s, Forgets: isTempFile, Renames: func(s durable.System, dir *os.File, from, to string) error {
				if err := s.Rename(dir, from, to); err != nil {
					return err
				}
				f, err := s.OpenAppend(dir, to)
				if err != nil {
					return err
				}
				return errors.Join(s.Sync(f), s.Close(f))
			}}
		},
		"unlink, then rename": func(s durable.System) crashfs.Careless { return crashfs.Careless{System: s, Replaces: unlinkFirst} },
		"copy, then unlink":   func(s durable.System) crashfs.Careless { return crashfs.Careless{System: s, Renames: copyAndUnlink} },
		"a sync of executions before the rename": func(s durable.System) crashfs.Careless {
			return crashfs.Careless{System: s, Forgets: isExecution, Renames: func(s durable.System, dir *os.File, from, to string) error {
				return errors.Join(s.Sync(dir), s.Rename(dir, from, to))
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrashes(t)
			l, err := newLife(fastDir(t), func(s durable.System) durable.System { return mutate(s) })
			if err != nil {
				t.Fatal(err)
			}
			err = l.start().wholeLife()
			if err == nil {
				err = l.examine(c, -1)
			}
			if err == nil {
				t.Fatal("nothing was found")
			}
			t.Log(err)
		})
	}
}
