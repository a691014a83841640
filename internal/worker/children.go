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

// psTimeout bounds the call of ps at the end of a process.
const psTimeout = 2 * time.Second

// A process of this program starts workers and editors, which it waits for, and credential plugins
// of kubeconfigs. If a plugin hangs, this process stops waiting for it. It has to end with this
// process, together with all processes that it has started.

// Exit ends this process and all processes that it has started.
func Exit(code int) {
	if CheckFileLimit() == nil { // otherwise it could neither start a process nor find one
		killAll(descendants(os.Getpid()))
	}
	os.Exit(code)
}

// descendants returns the processes that a process has started, those that these have started, and
// so on, each after its parent. A process that has left its parent, as a daemon does, is not among
// them.
func descendants(pid int) []int {
	children := listedByKernel
	if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); err != nil {
		children = listedByPS() // on macOS, or on a Linux kernel without these files
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

// listedByKernel returns the children of a process, from Linux's list. Each thread has a list of
// its own.
func listedByKernel(pid int) []int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil // not reached: the pattern is valid
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

// listedByPS lists all processes once, with the ps of POSIX. Without ps, a plugin that hangs
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
