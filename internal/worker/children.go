package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

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
// each after its parent. What has left its parent, as a daemon does, is none of them. There are none
// where Linux does not list them.
func descendants(pid int) []int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // a thread's are its own
	if err != nil {
		return nil // the pattern is right
	}
	var all []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

func killAll(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}
