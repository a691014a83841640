package durable

import (
	"errors"
	"io/fs"
	"time"
)

// abandoned is the age at which an unfinished file of Put surely has no living writer.
const abandoned = time.Minute

// Put replaces a file without waiting for the disk, for content that can be made again at any time.
// begun is the name of the temporary file. If another process is writing, Put does nothing. A
// reader sees the old or the new content, as long as the machine is up. If a slow writer is taken
// for dead, the new content may be incomplete.
func (d *Dir) Put(name, begun string, content []byte) error {
	err := d.Create(begun, content)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := d.Lstat(begun); statErr == nil && time.Since(info.Changed) > abandoned {
			return d.Unlink(begun) // so that the next writer can begin
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
