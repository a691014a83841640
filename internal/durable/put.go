package durable

import (
	"errors"
	"io/fs"
	"time"
)

// abandoned is how old what Put has begun to write is when its writer is surely dead.
const abandoned = time.Minute

// Put gives a file a content without waiting for the disk: for what can be made again at any time. begun
// is the name under which it is written. Somebody else who does the same has priority: then nothing is
// done. A reader sees the old content or the new one, as long as the machine is up; should a writer be
// taken for dead who is only slow, the new one may be cut off.
func (d *Dir) Put(name, begun string, content []byte) error {
	err := d.Create(begun, content)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := d.Lstat(begun); statErr == nil && time.Since(info.Changed) > abandoned {
			return d.Unlink(begun) // the next one finds the way free
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.system.Replace(d.f, begun, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, d.Unlink(begun))
	}
	return nil
}
