package versions

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

// What comes while the disk is waited for is done in one go afterwards, and fails together.
func TestTogether(t *testing.T) {
	var all together[int]
	var calls [][]int
	working, goOn := make(chan struct{}), make(chan struct{})
	work := func(items []int) error {
		calls = append(calls, items)
		if len(calls) == 1 {
			close(working)
			<-goOn
			return nil
		}
		return errors.New("no")
	}
	var group sync.WaitGroup
	group.Go(func() {
		if err := all.do(0, work); err != nil {
			t.Errorf("the first: got %v", err)
		}
	})
	<-working
	for i := 1; i <= 5; i++ {
		group.Go(func() {
			if err := all.do(i, work); err == nil {
				t.Errorf("%d: got no error", i)
			}
		})
	}
	for waiting := 0; waiting < 5; time.Sleep(time.Millisecond) {
		all.mu.Lock()
		if all.next != nil {
			waiting = len(all.next.items)
		}
		all.mu.Unlock()
	}
	close(goOn)
	group.Wait()
	if len(calls) != 2 || len(calls[1]) != 5 {
		t.Fatalf("got %v, want the first alone and then all others", calls)
	}
	slices.Sort(calls[1])
	if got := fmt.Sprint(calls); got != "[[0] [1 2 3 4 5]]" {
		t.Errorf("got %s", got)
	}
}

// The entries of a versions directory are waited for again whenever it has changed: what another process
// made, and an execution that was removed.
func TestRootSyncedWhenChanged(t *testing.T) {
	sys := errorfs.New(durable.OS{})
	d := testDir(t)
	if err := d.Append(t.Context(), Entry{Event: EventFlushed}); err != nil { // makes it
		t.Fatal(err)
	}
	d.system, d.roots.quiet = sys, time.Nanosecond // as if the last change were always long ago
	root, err := d.open(false)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // it was only read
	syncs := func() (n int) {
		t.Helper()
		sys.Inject(func(_ int, op string) error {
			if op == "sync" {
				n++
			}
			return nil
		})
		if err := d.roots.sync(root); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := syncs(); got != 1 {
		t.Errorf("at first: got %d syncs, want one", got)
	}
	if got := syncs(); got != 0 {
		t.Errorf("nothing has changed: got %d syncs, want none", got)
	}
	other := filepath.Join(d.path, "1-other")
	for range 2 {
		before, err := root.Stamp()
		if err != nil {
			t.Fatal(err)
		}
		for now := before; now == before; time.Sleep(time.Millisecond) { // until the file system's clock has moved
			if err := os.Mkdir(other, 0o700); errors.Is(err, os.ErrExist) {
				if err := os.Remove(other); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if now, err = root.Stamp(); err != nil {
				t.Fatal(err)
			}
		}
		sys.Inject(func(_ int, op string) error { return syscall.EIO })
		if err := d.roots.sync(root); !errors.Is(err, syscall.EIO) {
			t.Errorf("it has changed, and the disk fails: got %v, want EIO", err)
		}
		if got := syncs(); got != 1 {
			t.Errorf("it has changed: got %d syncs, want one", got)
		}
	}
	d.roots.quiet = time.Hour
	d.roots.synced = durable.Stamp{}
	if first, again := syncs(), syncs(); first != 1 || again != 1 {
		t.Errorf("it has changed just now: got %d and %d syncs, want one each: another change may have the same time", first, again)
	}
}
