package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// psTimeout bounds what a process at its end waits for.
const psTimeout = 2 * time.Second

// A process of this program starts workers, editors, which it waits for, and the commands that a kubeconfig
// has for its credentials. Such a command that hangs is given up, and nobody waits for it any more: it has
// to end with the process, and with it whatever it started.

// Exit ends this process and all that it has started.
func Exit(code int) {
	if CheckFileLimit() == nil { // otherwise it could start nothing, nor look for it
		killAll(descendants(os.Getpid()))
	}
	os.Exit(code)
}

// descendants are the processes that a process has started, those that they have started, and so on,
// each after its parent. What has left its parent, as a daemon does, is none of them.
func descendants(pid int) []int {
	children := listedByKernel
	if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); err != nil {
		children = listedByPS() // as on a Mac, or on a Linux that is built without these files
	}
	return below(pid, children)
}

func below(pid int, children func(pid int) []int) []int {
	var all []int
	for _, child := range children(pid) {
		all = append(append(all, child), below(child, children)...)
	}
	return all
}

// listedByKernel returns the children of a process where Linux lists them. A thread's are its own.
func listedByKernel(pid int) []int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil // the pattern is right
	}
	var all []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		all = append(all, numbers(string(text))...)
	}
	return all
}

// listedByPS looks at all processes once, with the ps of POSIX. Where there is none, a command that hangs
// outlives this process.
func listedByPS() func(pid int) []int {
	none := func(int) []int { return nil }
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	text, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		return none
	}
	children := map[int][]int{}
	for line := range strings.Lines(string(text)) {
		if pair := numbers(line); len(pair) == 2 && pair[0] != pair[1] {
			children[pair[1]] = append(children[pair[1]], pair[0])
		}
	}
	return func(pid int) []int { return children[pid] }
}

func numbers(text string) []int {
	var all []int
	for _, field := range strings.Fields(text) {
		if n, err := strconv.Atoi(field); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func killAll(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}
