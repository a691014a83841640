package durable

import (
	"errors"
	"os"
)

// AppendLine durably adds a line, which ends in a newline, to a file that must be ours alone, and
// makes the file if it is missing. It writes once, so that a short line isn't interleaved with
// those of other processes. A last line that a crash or a full disk tore off gets its end first:
// otherwise it would swallow this one too.
//
// After an error the line may be there all the same, whole or in part.
func (d *Dir) AppendLine(name string, line []byte) (err error) {
	f, err := d.openAppend(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.system.Close(f)) }()
	torn, err := isTorn(f)
	if err != nil {
		return err
	}
	if torn {
		line = append([]byte{'\n'}, line...)
	}
	if err := d.writeAll(f, line); err != nil {
		return err
	}
	if err := d.system.Sync(f); err != nil {
		return err
	}
	// Each time, and not only when this call made the file: another process may have, and died
	// before this, or somebody who rotates files. It costs nothing when there is nothing to write.
	return d.Sync()
}

// isTorn reports whether a file's last line has no end.
func isTorn(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return last[0] != '\n', err
}
