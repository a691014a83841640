package cell

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processes are the children of an init: those that it started, and the orphans of those, which
// only an init can reap.
type processes struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
}

func newProcesses() *processes {
	p := &processes{waiting: map[int]chan syscall.WaitStatus{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			p.reap()
		}
	}()
	return p
}

func (p *processes) reap() {
	// start holds this lock, too, so that no child is reaped before it is registered.
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return // none, or none that has ended
		}
		if ended, ours := p.waiting[pid]; ours {
			ended <- status
			delete(p.waiting, pid)
		}
	}
}

func (p *processes) start(path string, args []string, attr *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(path, args, attr)
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	p.waiting[pid] = ended
	return pid, ended, nil
}

func (p *processes) run(c Command, files []*os.File) (int, <-chan syscall.WaitStatus, error) {
	if len(c.Args) == 0 {
		return 0, nil, &StartError{126, "the command is empty"}
	}
	env := c.Env
	if env == nil {
		env = initEnv
	}
	path, err := find(c.Args[0], env)
	if err != nil {
		return 0, nil, err
	}
	attr := &syscall.ProcAttr{
		Dir: "/", Env: env,
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: c.Terminal},
	}
	for _, f := range files {
		attr.Files = append(attr.Files, f.Fd())
	}
	pid, ended, err := p.start(path, c.Args, attr)
	if err != nil {
		return 0, nil, &StartError{126, fmt.Sprintf("%q can't be run: %v", c.Args[0], err)}
	}
	return pid, ended, nil
}

// find looks up a command as a shell does.
func find(name string, env []string) (string, error) {
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, v := range env {
			if list, ok := strings.CutPrefix(v, "PATH="); ok {
				for _, dir := range filepath.SplitList(list) {
					candidates = append(candidates, filepath.Join("/", dir, name))
				}
			}
		}
	}
	refused := ""
	for _, path := range candidates {
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case info.IsDir() || unix.Access(path, unix.X_OK) != nil:
			refused = path
		default:
			return path, nil
		}
	}
	if refused != "" {
		return "", &StartError{126, fmt.Sprintf("%q is not executable", refused)}
	}
	return "", &StartError{127, fmt.Sprintf("command %q not found: the sandbox has a list of what there is", name)}
}

// killGroup kills a command that was not reaped yet, and its process group.
func (p *processes) killGroup(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[pid] == nil {
		return // its number may belong to another process by now
	}
	// The command has been the leader of its session and group from the start. The only possible
	// error is that it is a zombie already.
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil {
		return
	}
}

// killAll kills all descendants. The children of a killed process become ours, so this ends when
// there are no more.
func (p *processes) killAll(proc string) error {
	for {
		p.reap()
		children, err := childrenOf(proc, os.Getpid())
		if err != nil || len(children) == 0 {
			return err
		}
		for _, pid := range children {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func childrenOf(proc string, parent int) (children []int, err error) {
	stats, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return nil, err
	}
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		// The name, in parentheses, may contain any character.
		fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		children = append(children, pid)
	}
	return children, nil
}
