package cell

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// The protocol. An init has a control socket. Each byte on it is a request, and comes with files: a
// socket for this request, and then the files that the request is about. One [request] and its
// [reply]s go over the request's socket, as JSON. Closing that socket kills the command. Closing
// the control socket ends the cell.

type request struct {
	Command *Command `json:",omitempty"` // files: standard input, output, error
	Cell    *Setup   `json:",omitempty"` // file: the control socket of the new cell
	Volume  *Volume  `json:",omitempty"`
	Remove  string   `json:",omitempty"`
}

// A command gets two replies: one when it was started, and one when it has ended.
type reply struct {
	Error string `json:",omitempty"`
	Code  int    // exit code, or the code for a command that was not started
	PID   int    // in the PID namespace of the cell
}

// maxFiles is the largest number of files of a request.
const maxFiles = 4

// pair returns two ends: one for us, and one to give away.
func pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "socket")
	ours, err := connOf(os.NewFile(uintptr(fds[0]), "socket"))
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// connOf takes over f.
func connOf(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f) // a duplicate
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("got a %T, want a unix socket", c), c.Close())
	}
	return u, nil
}

func sendFiles(control *net.UnixConn, files ...*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd()) // in blocking mode from here on, as commands expect
	}
	_, _, err := control.WriteMsgUnix([]byte{0}, unix.UnixRights(fds...), nil)
	return err
}

// receiveFiles returns io.EOF when the other end was closed.
func receiveFiles(control *net.UnixConn) ([]*os.File, error) {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(maxFiles*4))
	n, oobn, _, _, err := control.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
