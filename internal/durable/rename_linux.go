package durable

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameNoReplace renames within a directory unless the new name exists. Some file systems (NFS,
// 9p, many FUSE ones) don't know the flag and say EINVAL; there, look and rename: the callers hold
// the directory's lock, and nobody else may write to it. Not link and unlink, which leave two names
// for one file when the process is killed between them.
func renameNoReplace(dir int, from, to string) error {
	err := unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return lookAndRename(dir, from, to)
	}
	return err
}
