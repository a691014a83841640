package durable

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// readerBuffer holds the entries that one call to the kernel returns: those of most directories.
const readerBuffer = 8192

// Reader looks at the names in one directory after the other. It does what [Dir.Enter] does without
// an *os.File for each, which costs as much as the system calls: a listing may go through a hundred
// thousand directories. It is for one goroutine.
type Reader struct {
	checker
	fd     int
	path   string
	read   bool // its offset is not at the start
	buffer []byte
}

// NewReader returns a reader for directories below d, which must be open as long as it is used.
func (d *Dir) NewReader() *Reader {
	return &Reader{checker: d.checker, fd: -1, buffer: make([]byte, readerBuffer)}
}

// Enter opens a directory below d without checking whose it is. Close comes before the next Enter.
func (r *Reader) Enter(d *Dir, name string) error {
	r.path, r.read = join(d.Path(), name), false
	return at(d.f, "open", name, func(fd int) error {
		opened, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			r.fd = opened
		}
		return err
	})
}

// Path is where the directory was opened.
func (r *Reader) Path() string { return r.path }

// Names returns the names of all entries, in no order. It reads from the start each time.
func (r *Reader) Names() ([]string, error) {
	if r.read {
		if _, err := unix.Seek(r.fd, 0, 0); err != nil {
			return nil, r.failed("seek", ".", err)
		}
	}
	r.read = true
	var names []string
	for {
		n, err := repeat(func() (int, error) { return unix.ReadDirent(r.fd, r.buffer) })
		if err != nil {
			return nil, r.failed("readdirent", ".", err)
		}
		if n <= 0 {
			return names, nil
		}
		for rest := r.buffer[:n]; len(rest) > 0; {
			var used int
			if used, _, names = unix.ParseDirent(rest, -1, names); used <= 0 {
				return nil, r.failed("readdirent", ".", fmt.Errorf("got %d bytes that are no entry", len(rest)))
			}
			rest = rest[used:]
		}
	}
}

// Lstat describes an entry, a link for itself.
func (r *Reader) Lstat(name string) (Info, error) {
	var st unix.Stat_t
	_, err := repeat(func() (int, error) { return 0, unix.Fstatat(r.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return Info{}, r.failed("lstat", name, err)
	}
	return newInfo(&st), nil
}

// Stat describes the directory itself.
func (r *Reader) Stat() (Info, error) {
	var st unix.Stat_t
	_, err := repeat(func() (int, error) { return 0, unix.Fstat(r.fd, &st) })
	if err != nil {
		return Info{}, r.failed("stat", ".", err)
	}
	return newInfo(&st), nil
}

// Close closes the directory.
func (r *Reader) Close() error {
	if r.fd < 0 {
		return nil
	}
	err := unix.Close(r.fd)
	r.fd = -1
	return os.NewSyscallError("close", err)
}

func (r *Reader) failed(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: join(r.path, name), Err: err}
}

// repeat makes a call again that a signal has interrupted.
func repeat(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// errSlow is for what a Reader leaves to a Dir.
var errSlow = errors.New("not in this way")

// ReadFile returns the content of a file that is ours alone, in a directory that is, and has at most
// limit bytes, and what the file was just before it was read. An error says only that [Dir.ReadFile] has
// to find out why not.
func (r *Reader) ReadFile(name string, limit int64) ([]byte, Info, error) {
	own, err := r.Stat()
	if err == nil {
		err = r.CheckDir(r.path, own)
	}
	if err != nil || r.isWidened(own) {
		return nil, Info{}, cmp.Or(err, errSlow)
	}
	fd, err := repeat(func() (int, error) {
		return unix.Openat(r.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, Info{}, r.failed("open", name, err)
	}
	content, info, err := r.readAll(fd, name, limit)
	return content, info, errors.Join(err, os.NewSyscallError("close", unix.Close(fd)))
}

func (r *Reader) readAll(fd int, name string, limit int64) ([]byte, Info, error) {
	var st unix.Stat_t
	if _, err := repeat(func() (int, error) { return 0, unix.Fstat(fd, &st) }); err != nil {
		return nil, Info{}, r.failed("stat", name, err)
	}
	info := newInfo(&st)
	if err := r.CheckFile(join(r.path, name), info); err != nil {
		return nil, info, err
	}
	if r.isWidened(info) || info.Size > limit {
		return nil, info, errSlow
	}
	content := make([]byte, 0, info.Size+1)
	for len(content) < cap(content) {
		n, err := repeat(func() (int, error) { return unix.Read(fd, content[len(content):cap(content)]) })
		if err != nil {
			return nil, info, r.failed("read", name, err)
		}
		if n <= 0 {
			return content, info, nil
		}
		content = content[:len(content)+n]
	}
	return nil, info, errSlow // it grows
}
