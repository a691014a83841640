package durable

import (
	"errors"
	"os"
)

// AppendLines durably adds lines, each of which ends in a newline, to a file that must be ours alone,
// and makes the file if it is missing. It writes each at once, so that a short line isn't interleaved
// with those of other processes. A last line that a crash or a full disk tore off gets its end first:
// otherwise it would swallow the next one too. The caller syncs the directory afterwards. Each time, and
// not only when this call made the file: another process may have, and died before that, or somebody who
// rotates files.
//
// After an error the lines may be there all the same, whole or in part.
func (d *Dir) AppendLines(name string, lines ...[]byte) (err error) {
	f, err := d.openAppend(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.system.Close(f)) }()
	torn, err := isTorn(f)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if torn {
			line = append([]byte{'\n'}, line...)
		}
		if err := d.writeAll(f, line); err != nil {
			return err
		}
		torn = false
	}
	return d.system.Sync(f)
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
