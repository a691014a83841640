package durable

import "golang.org/x/sys/unix"

// The numbers of file systems that the package unix does not name.
const (
	xfsMagic  = 0x58465342
	f2fsMagic = 0xf2f52010
)

// TrueTimes reports whether a change of a file below is sure to change what [Dir.Lstat] says of it at
// once: a file system of this machine is below, of a kind that is known for it. A server's may be cached,
// and go by another clock.
func (d *Dir) TrueTimes() bool {
	var st unix.Statfs_t
	if err := at(d.f, "statfs", ".", func(fd int) error { return unix.Fstatfs(fd, &st) }); err != nil {
		return false
	}
	switch int64(st.Type) { //nolint:unconvert // its type differs between architectures
	case unix.EXT4_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, xfsMagic, f2fsMagic:
		return true
	}
	return false
}
