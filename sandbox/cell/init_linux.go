package cell

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// The names under which this program becomes an init. A cell that gives up capabilities has to
// start again half way, see [Setup.become].
const (
	roomName  = "ebb-sandbox-room"
	cellName  = "ebb-sandbox-cell"
	readyName = "ebb-sandbox-init"
)

// controlFile is the descriptor of an init's control socket.
const controlFile = 3

// initEnv is the environment of an init, and of a command without one of its own.
var initEnv = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

// A program that was started as an init becomes one here, and not in main. In main, all of
// Kubernetes would be initialized before, for each of the hundreds of cells of a test. Go
// initializes packages in the order of their import paths, those first whose own imports are
// initialized, so this runs before k8s.io.
func init() {
	switch os.Args[0] {
	case roomName, cellName, readyName:
		os.Exit(runInit())
	}
}

func (s Setup) args(name string) ([]string, error) {
	text, err := json.Marshal(s)
	return []string{name, string(text)}, err
}

func (s Setup) flags() (flags uintptr) {
	if s.Hostname != "" {
		flags |= syscall.CLONE_NEWUTS
	}
	if s.PIDs {
		flags |= syscall.CLONE_NEWPID
	}
	if s.Network {
		flags |= syscall.CLONE_NEWNET
	}
	if s.Root != nil {
		flags |= syscall.CLONE_NEWNS
	}
	return flags
}

func runInit() int {
	// Commands must not get the socket. All other descriptors are close-on-exec from the start.
	unix.CloseOnExec(controlFile)
	var s Setup
	err := json.Unmarshal([]byte(os.Args[1]), &s)
	if err == nil {
		err = s.become(os.Args[0])
	}
	r := reply{}
	if err != nil {
		r.Error = err.Error()
	}
	control, cerr := connOf(os.NewFile(controlFile, "control"))
	if cerr == nil {
		cerr = json.NewEncoder(control).Encode(r)
	}
	if err != nil || cerr != nil {
		return 1 // the caller got the error, or has ended
	}
	i := &initProcess{control: control, processes: newProcesses()}
	if s.Root == nil {
		i.volumes, err = os.OpenRoot(roomDir)
		if err != nil {
			fmt.Fprintln(os.Stderr, "init:", err)
			return 1
		}
	}
	err = i.serve()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		fmt.Fprintln(os.Stderr, "init:", err)
	}
	if os.Getpid() != 1 {
		// The kernel kills the processes that PID 1 leaves. This init has no PID namespace, and
		// does it itself.
		proc := filepath.Join(roomDir, s.Processes)
		if s.Root != nil {
			proc = "/proc"
		}
		if err := i.processes.killAll(proc); err != nil {
			fmt.Fprintln(os.Stderr, "init:", err)
			return 1
		}
	}
	return 0
}

// become gives this process what s asks for.
func (s Setup) become(name string) error {
	// The socket says when to end. signal.Ignore would be inherited by commands.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a reaper: %w", err)
	}
	if name == readyName {
		return nil
	}
	if s.Hostname != "" {
		if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
			return fmt.Errorf("set the host name: %w", err)
		}
	}
	if s.Network {
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("set lo up: %w", err)
		}
	}
	if name == roomName {
		if err := makeRoom(); err != nil {
			return err
		}
	}
	if s.Proc != "" {
		if err := mountProc(filepath.Join(roomDir, s.Proc)); err != nil {
			return err
		}
	}
	if s.Root == nil {
		return nil
	}
	if err := s.Root.enter(); err != nil {
		return err
	}
	if s.Root.Capabilities == nil {
		return nil
	}
	// Capabilities belong to a thread. All threads of a process have those that it started with, so
	// restart.
	return s.restartWith(s.Root.Capabilities)
}

// An initProcess answers the requests on its control socket.
type initProcess struct {
	control   *net.UnixConn
	processes *processes
	volumes   *os.Root // nil in a cell with a root of its own
}

// serve returns when the control socket was closed.
func (i *initProcess) serve() error {
	for {
		files, err := receiveFiles(i.control)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return errors.New("got a request without a socket")
		}
		conn, err := connOf(files[0])
		if err != nil {
			return err
		}
		go func() {
			err := i.answer(&conversation{conn, json.NewDecoder(conn)}, files[1:])
			if err != nil {
				fmt.Fprintln(os.Stderr, "init:", err)
			}
		}()
	}
}

// answer carries out a request. It returns the errors that the caller could not be told.
func (i *initProcess) answer(t *conversation, files []*os.File) (err error) {
	defer func() { err = errors.Join(err, t.Close()) }()
	var q request
	if err := t.Decode(&q); err != nil {
		return errors.Join(err, closeAll(files))
	}
	var r reply
	var ended <-chan syscall.WaitStatus
	switch {
	case q.Command != nil && len(files) == 3:
		r.PID, ended, err = i.processes.run(*q.Command, files)
	case q.Cell != nil && len(files) == 1:
		r.PID, err = i.newCell(*q.Cell, files[0])
	case i.volumes != nil && q.Volume != nil:
		err = makeVolume(i.volumes, *q.Volume)
	case i.volumes != nil && q.Remove != "":
		err = removeVolume(i.volumes, q.Remove)
	default:
		err = fmt.Errorf("no request that this cell understands, with %d files", len(files))
	}
	if err != nil {
		r.Error, r.Code = err.Error(), 126
		var start *StartError
		if errors.As(err, &start) {
			r.Code = start.Code
		}
	}
	// Close before the reply: the caller relies on it.
	if err := errors.Join(closeAll(files), json.NewEncoder(t).Encode(r)); err != nil {
		if ended != nil {
			i.processes.killGroup(r.PID)
		}
		return err
	}
	if ended == nil {
		return nil
	}
	gone := make(chan struct{})
	go func() {
		// The caller sends nothing more: this ends when it closes its end.
		defer close(gone)
		if _, err := t.UnixConn.Read(make([]byte, 1)); err != nil {
			return
		}
	}()
	var status syscall.WaitStatus
	select {
	case status = <-ended:
	case <-gone:
		i.processes.killGroup(r.PID)
		status = <-ended
	}
	r.Code = status.ExitStatus()
	if status.Signaled() {
		r.Code = 128 + int(status.Signal())
	}
	err = json.NewEncoder(t).Encode(r)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil // the caller has ended
	}
	return err
}

// newCell starts an init, and gives it the other end of its control socket.
func (i *initProcess) newCell(s Setup, control *os.File) (int, error) {
	args, err := s.args(cellName)
	if err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close() // read only
	attr := &syscall.ProcAttr{
		Dir: "/", Env: initEnv,
		Files: []uintptr{null.Fd(), 1, 2, control.Fd()},
		Sys:   &syscall.SysProcAttr{Cloneflags: s.flags(), Setsid: true},
	}
	pid, _, err := i.processes.start("/proc/self/exe", args, attr)
	return pid, err
}
