package versions

import "golang.org/x/sys/unix"

// volatileBy names a file system that loses its files, and says when.
func volatileBy(st *unix.Statfs_t) string {
	switch int64(st.Type) { //nolint:unconvert // its type differs between architectures
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return "tmpfs, in memory: a reboot or the end of the pod deletes it"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay, the file system of a container: the end of the container deletes it"
	}
	return ""
}
