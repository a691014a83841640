package versions

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// ReadFiles reads many files of a store, as Read does. It uses several goroutines, at most most; 0
// means one for each core. They call do with the index of the file and the result of Read. The
// versions directory is opened only once, which takes most of the time of a Read.
func ReadFiles(ctx context.Context, s Store, files []File, most int, do func(i int, content []byte, err error)) {
	if most == 0 {
		most = runtime.GOMAXPROCS(0)
	}
	reader := func() func(File) ([]byte, error) {
		return func(f File) ([]byte, error) { return s.Read(ctx, f) }
	}
	if d, ok := s.(*Dir); ok {
		if root, err := d.open(false); err == nil {
			defer root.Close() //nolint:errcheck // it was only read
			reader = func() func(File) ([]byte, error) { return d.reader(ctx, root) }
		}
	}
	var next atomic.Int64
	var work sync.WaitGroup
	for range min(most, len(files)) {
		work.Go(func() {
			read := reader()
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				content, err := read(files[i])
				do(i, content, err)
			}
		})
	}
	work.Wait()
}

// reader returns a Read for one goroutine. It calls Read itself if the short way fails; Read then
// returns the error.
func (d *Dir) reader(ctx context.Context, root *durable.Dir) func(File) ([]byte, error) {
	reader := root.NewReader()
	return func(f File) ([]byte, error) {
		_, _, err := parseExecutionID(f.Execution)
		if err == nil {
			_, err = parseFileName(f.Name)
		}
		if err == nil && ctx.Err() == nil {
			if err = reader.Enter(root, f.Execution); err == nil {
				var content []byte
				content, _, err = reader.ReadFile(f.Name, MaxFileSize)
				if err = errors.Join(err, reader.Close()); err == nil {
					return content, nil
				}
			}
		}
		return d.Read(ctx, f)
	}
}
