package cell

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// nobody is the user outside the room if root starts us. With root's own ID, a command could write
// to files of the machine's root, which appear in every /proc.
const nobody = 65534

// Cell is a tree of processes, seen from outside.
type Cell struct {
	control *net.UnixConn
	sending sync.Mutex
	pid     int
	done    chan struct{}
	room    *exec.Cmd // only for the room
}

// Open makes the room. Its inits write their messages to log.
func Open(log io.Writer) (*Cell, error) {
	c, err := open(log)
	if err != nil {
		return nil, &UnsupportedError{err}
	}
	return c, nil
}

func open(log io.Writer) (*Cell, error) {
	control, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	setup := Setup{Hostname: "sandbox", PIDs: true, Network: true}
	args, err := setup.args(roomName)
	if err != nil {
		return nil, errors.Join(err, control.Close(), theirs.Close())
	}
	// A pipe hides the file behind log from /proc/1/fd.
	said := struct{ io.Writer }{log}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = nobody, nobody
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: args, Env: initEnv, Dir: "/",
		Stdout: said, Stderr: said, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags:  setup.flags() | syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC,
			UidMappings: []syscall.SysProcIDMap{{HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: gid, Size: 1}},
			// Only root may drop the groups that it has.
			GidMappingsEnableSetgroups: os.Getuid() == 0,
			Credential:                 &syscall.Credential{NoSetGroups: os.Getuid() != 0},
			// In a session of its own, it gets no signals of the terminal. It ends when its socket
			// is closed.
			Setsid: true,
		},
	}
	err = cmd.Start()
	if err := errors.Join(err, theirs.Close()); err != nil {
		return nil, errors.Join(err, control.Close())
	}
	c := &Cell{control: control, pid: cmd.Process.Pid, room: cmd}
	return c, c.await()
}

// await returns when the init is ready, and watches it from then on.
func (c *Cell) await() error {
	c.done = make(chan struct{})
	var r reply
	err := json.NewDecoder(c.control).Decode(&r)
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		close(c.done)
		return errors.Join(fmt.Errorf("start an init: %w", err), c.Close())
	}
	go func() {
		defer close(c.done)
		// The init sends nothing more. Any error means that it has ended.
		if _, err := io.Copy(io.Discard, c.control); err != nil {
			return
		}
	}()
	return nil
}

// Done is closed when the cell's init has ended.
func (c *Cell) Done() <-chan struct{} { return c.done }

// PID is the process ID of the init in the cell that it was made in.
func (c *Cell) PID() int { return c.pid }

// Close kills everything that runs in the cell. It waits until all processes have ended only if the
// cell is the room.
func (c *Cell) Close() error {
	err := c.control.Close()
	if c.room != nil {
		// A killed init is no error.
		var exit *exec.ExitError
		if werr := c.room.Wait(); werr != nil && !errors.As(werr, &exit) {
			err = errors.Join(err, werr)
		}
	}
	return err
}

// ask sends a request with its files, which the init takes over. It returns the request's socket
// and the first reply.
func (c *Cell) ask(q request, files ...*os.File) (*conversation, reply, error) {
	conn, theirs, err := pair()
	if err != nil {
		return nil, reply{}, errors.Join(err, closeAll(files))
	}
	files = append([]*os.File{theirs}, files...)
	c.sending.Lock()
	err = sendFiles(c.control, files...)
	c.sending.Unlock()
	t := &conversation{conn, json.NewDecoder(conn)}
	err = errors.Join(err, closeAll(files))
	if err == nil {
		err = json.NewEncoder(conn).Encode(q)
	}
	var r reply
	if err == nil {
		err = t.Decode(&r)
	}
	if err != nil {
		return nil, r, errors.Join(fmt.Errorf("the cell does not answer: %w", err), conn.Close())
	}
	return t, r, nil
}

type conversation struct {
	*net.UnixConn
	*json.Decoder
}

// do is for requests that have one reply.
func (c *Cell) do(q request, files ...*os.File) (reply, error) {
	t, r, err := c.ask(q, files...)
	if err != nil {
		return r, err
	}
	if r.Error != "" {
		err = errors.New(r.Error)
	}
	return r, errors.Join(err, t.Close())
}

// New makes a cell inside c.
func (c *Cell) New(s Setup) (*Cell, error) {
	control, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	r, err := c.do(request{Cell: &s}, theirs)
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	inner := &Cell{control: control, pid: r.PID}
	return inner, inner.await()
}

// Volume makes a volume, or changes one. The size of an existing volume does not change.
func (c *Cell) Volume(v Volume) error {
	_, err := c.do(request{Volume: &v})
	return err
}

// Remove removes a volume and all volumes below it. Cells that have mounted it keep it.
func (c *Cell) Remove(path string) error {
	_, err := c.do(request{Remove: path})
	return err
}

// Process is a command that was started.
type Process struct {
	t *conversation
}

// Start runs a command. It takes over the files. If the command can't be run, the error is a
// [StartError].
func (c *Cell) Start(command Command, stdin, stdout, stderr *os.File) (*Process, error) {
	t, r, err := c.ask(request{Command: &command}, stdin, stdout, stderr)
	if err != nil {
		return nil, err
	}
	if r.Error != "" {
		return nil, errors.Join(&StartError{r.Code, r.Error}, t.Close())
	}
	return &Process{t}, nil
}

// Wait returns the exit code: 128 plus the signal's number for a killed command, and 137 if its
// cell was killed.
func (p *Process) Wait() (int, error) {
	var r reply
	if err := p.t.Decode(&r); err != nil {
		r.Code = 128 + int(syscall.SIGKILL)
	}
	return r.Code, p.t.Close()
}

// Kill kills the command's process group. Wait returns soon after.
func (p *Process) Kill() error { return p.t.CloseWrite() }
