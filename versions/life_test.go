package versions

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/crashfs"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

// life is a store that processes use and die of, from its first directory on. It keeps the truth,
// and a record of it all.
type life struct {
	path   string
	rec    *crashfs.Recorder
	under  durable.System // the recorder, or a mutant of it
	known  truth
	serial int
}

// newLife returns a life in a new directory below parent. Its times are an hour ahead, so that what
// comes later can't be in order by its clock alone.
func newLife(parent string, mutate func(durable.System) durable.System) (*life, error) {
	base, err := os.MkdirTemp(parent, "life")
	if err != nil {
		return nil, err
	}
	stamps.last.Store(time.Now().Add(time.Hour).UnixNano())
	l := &life{path: filepath.Join(base, "deep", "versions"), rec: crashfs.NewRecorder(base)}
	l.under = l.rec
	if mutate != nil {
		l.under = mutate(l.rec)
	}
	return l, nil
}

func (l *life) start() *process {
	p := &process{life: l, sys: errorfs.New(l.under)}
	p.store = indexing(l.path, p.sys, "")
	p.store.roots.quiet = time.Hour // however long a step takes
	p.store.lazy.pause = time.Hour  // what a crash meets is this process's own doing
	return p
}

// text is the content of a version file, different each time.
func (l *life) text(size int) string {
	l.serial++
	line := fmt.Sprintf("# %d\n", l.serial)
	return string(Seal([]byte(strings.Repeat(line, max(size/len(line), 1)))))
}

func newEntry(message string) Entry {
	return Entry{Time: time.Unix(1_800_000_000, 0).UTC(), Event: EventOutcome, Message: message, User: "user", Host: "host", PID: 1}
}

// settle looks at the store as it is, and makes what is there the truth: what syncs an execution's
// directory makes all before it last.
func (l *life) settle(id string) error {
	stampsLast := stamps.last.Load()
	defer stamps.last.Store(stampsLast)
	_, found, err := l.known.look(&Dir{path: l.path, system: durable.OS{}}, false)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	for i := range l.known.files {
		known := &l.known.files[i]
		if known.execution != id {
			continue
		}
		f, there := found[i]
		known.absent, known.pending, known.executed = !there, there && f.State == Pending, there && f.State == Executed
		if there {
			known.name, known.contents = strings.TrimSuffix(f.Name, executedSuffix), []string{f.content}
		}
	}
	l.rec.Note(*l.known.clone())
	return nil
}

// index finds the truth of a file.
func (l *life) index(f File) int {
	name := strings.TrimSuffix(f.Name, executedSuffix)
	return slices.IndexFunc(l.known.files, func(known fileTruth) bool { return known.execution == f.Execution && known.name == name })
}

// fastDir is a directory for the test, in memory where that is possible.
func fastDir(t testing.TB) string {
	t.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "ebb-test-"); err == nil {
		t.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		return dir
	}
	return filepath.Dir(testDir(t).path)
}
