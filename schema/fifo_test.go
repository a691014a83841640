package schema

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A FIFO is somebody's way to keep us waiting, and somebody else's <(program).
func TestReadFileFIFO(t *testing.T) {
	readLimit = 50 * time.Millisecond
	defer func() { readLimit = 10 * time.Second }()
	file := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(file); err != nil || len(data) != 0 {
		t.Errorf("nobody writes: got %q, %v, want nothing", data, err)
	}
	writer, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(file); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the writer says nothing: got %q, %v, want that the time is over", data, err)
	}
	readLimit = time.Minute
	// What is written stays in the FIFO for as long as somebody has it open, however early the
	// writer is done.
	keeper, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := keeper.Close(); err != nil {
			t.Error(err)
		}
	}()
	go func() {
		if _, err := writer.WriteString("a: 1\n"); err != nil {
			t.Error(err)
		}
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	}()
	if data, err := ReadFile(file); err != nil || string(data) != "a: 1\n" {
		t.Errorf("the writer takes its time: got %q, %v, want what it writes", data, err)
	}
}
