package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Import implements Execution. The foreign file is pending until the version file is durable. After
// a kill, a second import finds the version file.
func (e *dirExecution) Import(ctx context.Context, f File, content []byte) (_ File, err error) {
	defer exportChange(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return File{}, err
	}
	defer leave()
	name, err := e.pending(f)
	if err == nil {
		err = name.checkContent(KindForeign, content)
	}
	if err != nil {
		return File{}, err
	}
	if err := e.settle(); err != nil {
		return File{}, fmt.Errorf("version file not written: %w", err)
	}
	ours, err := e.replacement(name, content)
	if err != nil {
		return File{}, err
	}
	name.state = Imported
	_, err = e.dir.Rename(f.Name, name.String())
	return ours, err
}

// replacement returns the version file that replaces a foreign one. It writes the file if there is
// none.
func (e *dirExecution) replacement(name fileName, content []byte) (File, error) {
	name.kind = KindVersion
	for _, name.state = range []State{Executed, Pending} {
		info, err := e.dir.Lstat(name.String())
		if err == nil {
			return newFile(e.id, e.dir.Path(), name, info), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return File{}, err
		}
	}
	if err := e.dir.WriteFile(name.String(), content, fileMode); err != nil {
		return File{}, fmt.Errorf("version file not written: %w", err)
	}
	return newFile(e.id, e.dir.Path(), name, durable.Info{Size: int64(len(content)), Changed: time.Now()}), nil
}
