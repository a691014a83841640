package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/ebb-chaos/ebb/sandbox/cell"
)

// streams are the standard streams of a command. Nil means none.
type streams struct {
	in       io.Reader
	out, err io.Writer
	terminal bool
	resize   <-chan remotecommand.TerminalSize
}

// runCommand runs a command to its end. It kills the command when ctx ends or nobody reads its
// output any more. It does not wait for processes that the command leaves running.
func runCommand(ctx context.Context, c *cell.Cell, command cell.Command, s streams) (code int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	command.Terminal = s.terminal
	var files commandFiles
	if s.terminal {
		err = files.openTerminal()
	} else {
		err = files.openPipes(s.in != nil)
	}
	if err != nil {
		return 0, errors.Join(err, files.close())
	}
	process, err := c.Start(command, files.theirs[0], files.theirs[1], files.theirs[2])
	files.theirs = [3]*os.File{} // the cell has them now
	if err != nil {
		return 0, errors.Join(err, files.close())
	}
	outputs := []*output{copyOutput(s.out, files.out, cancel)}
	if files.err != nil {
		outputs = append(outputs, copyOutput(s.err, files.err, cancel))
	}
	if s.in != nil {
		go func() {
			// The copy ends with the client's stream or, when the command has ended, with the pipe.
			// Neither is an error.
			if _, err := io.Copy(files.in, s.in); err == nil && !s.terminal {
				files.closeIn()
			}
		}()
	}
	if s.terminal && s.resize != nil {
		go func() {
			for size := range s.resize {
				// A closed terminal needs no size.
				if err := files.setSize(size); err != nil {
					return
				}
			}
		}()
	}
	killed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { killed <- process.Kill() })
	code, err = process.Wait()
	if !stop() {
		// The other end of the conversation may be closed by now.
		if kerr := <-killed; kerr != nil && !errors.Is(kerr, syscall.ENOTCONN) && !errors.Is(kerr, os.ErrClosed) && !errors.Is(kerr, syscall.EPIPE) {
			err = errors.Join(err, kerr)
		}
	}
	for _, o := range outputs {
		err = errors.Join(err, o.finish())
	}
	return code, errors.Join(err, files.close())
}

// result is the result of a captured command.
type result struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Code   int    `json:"code"`
}

// capture runs a command of the sandbox itself.
func capture(ctx context.Context, c *cell.Cell, command cell.Command, stdin ...string) (result, error) {
	var out, err bytes.Buffer
	s := streams{out: &out, err: &err}
	if len(stdin) > 0 {
		s.in = strings.NewReader(strings.Join(stdin, ""))
	}
	code, rerr := runCommand(ctx, c, command, s)
	return result{out.String(), err.String(), code}, rerr
}

// commandFiles are our ends of a command's files, and the ends for the cell.
type commandFiles struct {
	in, out, err *os.File // with a terminal, in and out are the same, and err is nil
	theirs       [3]*os.File
}

func (f *commandFiles) openPipes(withIn bool) (err error) {
	if withIn {
		f.theirs[0], f.in, err = os.Pipe()
	} else {
		f.theirs[0], err = os.Open(os.DevNull)
	}
	if err == nil {
		f.out, f.theirs[1], err = os.Pipe()
	}
	if err == nil {
		f.err, f.theirs[2], err = os.Pipe()
	}
	return err
}

func (f *commandFiles) openTerminal() error {
	// Non-blocking, so that reads can have a deadline.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a terminal: %w", err)
	}
	f.out = os.NewFile(uintptr(fd), "terminal")
	f.in = f.out
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlock a terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return fmt.Errorf("name a terminal: %w", err)
	}
	for i := range f.theirs {
		f.theirs[i], err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *commandFiles) setSize(size remotecommand.TerminalSize) error {
	raw, err := f.out.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
	})
	return errors.Join(err, failed)
}

func (f *commandFiles) closeIn() {
	// It may be closed twice: at the end of the input, and at the end of the command.
	if err := f.in.Close(); err != nil {
		return
	}
}

func (f *commandFiles) close() error {
	var errs []error
	for _, file := range append(f.theirs[:], f.in, f.out, f.err) {
		if file == nil {
			continue
		}
		if err := file.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// An output is copied from a command to its client.
type output struct {
	to   io.Writer
	from *os.File
	done chan error
}

func copyOutput(to io.Writer, from *os.File, gone context.CancelFunc) *output {
	if to == nil {
		to = io.Discard
	}
	o := &output{to, from, make(chan error, 1)}
	go func() {
		_, err := io.Copy(client{to, gone}, from)
		o.done <- err
	}()
	return o
}

// A client that reads no more output has gone.
type client struct {
	io.Writer
	gone context.CancelFunc
}

func (c client) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	if err != nil {
		c.gone()
	}
	return n, err
}

// finish copies what the command has written before its end. It does not copy what processes that
// are left running write later.
func (o *output) finish() error {
	if err := o.from.SetReadDeadline(time.Now()); err != nil {
		return err
	}
	if err := <-o.done; !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // all was copied, or the client is gone
	}
	if err := o.from.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := o.from.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10) // the capacity of a pipe
	n := 0
	rerr := raw.Read(func(fd uintptr) bool {
		n, err = unix.Read(int(fd), buf)
		return true
	})
	// Nothing to read, or a closed terminal.
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EIO) {
		err = nil
	}
	if err := errors.Join(rerr, err); err != nil || n <= 0 {
		return err
	}
	if _, err := o.to.Write(buf[:n]); err != nil {
		return nil // the client is gone
	}
	return nil
}
