package errorfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

// Whatever call of a durable write fails, the write says so, and nothing is left; without a fault
// it works again.
func TestFS(t *testing.T) {
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	sys := errorfs.New(durable.OS{})
	d, err := durable.Open(sys, filepath.Join(parent, "store"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	sys.Inject(nil)
	if err := d.WriteFile("a", []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, call := range sys.Calls() {
		op, _, _ := strings.Cut(call, " ")
		ops = append(ops, op)
	}
	if want := []string{"create", "write", "chmod", "sync", "close", "rename", "sync"}; !slices.Equal(ops, want) {
		t.Errorf("got the calls %q, want %q", ops, want)
	}
	for number := range ops {
		failed := ""
		sys.Inject(func(call int, _ string) error {
			if call != number+1 {
				return nil
			}
			failed = sys.Call(call)
			return syscall.EIO
		})
		err := d.WriteFile("b", []byte("content"), 0o600)
		if !errors.Is(err, syscall.EIO) || failed == "" {
			t.Errorf("%s: got %v, want EIO", failed, err)
		}
		if names, err := d.Names(); err != nil || !slices.Equal(names, []string{"a"}) {
			t.Errorf("%s: got %q, %v, want nothing new", failed, names, err)
		}
	}
	sys.Inject(func(_ int, op string) error {
		if op == "write" {
			return errorfs.ErrShort
		}
		return nil
	})
	if err := d.WriteFile("b", []byte("content"), 0o600); err == nil || errors.Is(err, errorfs.ErrShort) {
		t.Errorf("a short write: got %v, want that it is noticed", err)
	}
	sys.Inject(nil)
	if err := d.WriteFile("b", []byte("content"), 0o600); err != nil {
		t.Error(err)
	}
}
