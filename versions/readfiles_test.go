package versions

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// ReadFiles returns what Read returns, of files of every kind.
func TestReadFiles(t *testing.T) {
	d := testDir(t)
	var files []File
	for i, change := range []func(path string) error{
		nil,
		os.Remove,
		func(path string) error { return os.Chmod(path, 0o666) },
		func(path string) error { return os.Link(path, path+".other") },
		func(path string) error { return os.Truncate(path, MaxFileSize) },
		func(path string) error { return os.Truncate(path, MaxFileSize+1) },
		func(path string) error { return os.Truncate(path, 0) },
		func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) },
		func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		func(path string) error {
			return replaceBy(path, func() error { return os.Symlink("/etc/passwd", path) })
		},
		func(path string) error { return replaceBy(path, func() error { return syscall.Mkfifo(path, 0o600) }) },
		func(path string) error { return replaceBy(path, func() error { return os.Mkdir(path, 0o700) }) },
	} {
		e, err := d.Begin(t.Context(), fmt.Sprintf("run-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		f, err := e.Flush(t.Context(), "pod", fmt.Appendf(nil, "content %d", i))
		if err == nil {
			err = e.Close()
		}
		if err == nil && change != nil {
			err = change(f.Location)
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	files = append(files, File{Execution: "../x", Name: files[0].Name}, File{Execution: files[0].Execution, Name: "../x"})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), cancelled} {
		var mu sync.Mutex
		seen := map[int]bool{}
		good := 0
		ReadFiles(ctx, d, files, 0, func(i int, content []byte, err error) {
			want, wantErr := d.Read(ctx, files[i])
			mu.Lock()
			defer mu.Unlock()
			if !bytes.Equal(content, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("file %d: got %d bytes and %v, want %d bytes and %v", i, len(content), err, len(want), wantErr)
			}
			if err == nil {
				good++
			}
			seen[i] = true
		})
		if len(seen) != len(files) || ctx.Err() == nil && good != 3 {
			t.Errorf("got %d of %d files, %d of them good, want all and 3", len(seen), len(files), good)
		}
	}
}

func replaceBy(path string, make func() error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return make()
}
