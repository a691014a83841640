package durable

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// heldByOtherUser reports whether it is certain that a lock is held, and by no living process of ours
// or root's. The kernel names the process that took a lock. One that is gone left its lock to a
// child, which no lock of ours ever goes to. Where the kernel names nobody (another PID namespace,
// a file system whose inodes stat shows otherwise), nothing is certain.
func heldByOtherUser(f *os.File) bool {
	var st unix.Stat_t
	if err := at(f, "stat", ".", func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return false
	}
	dev := uint64(st.Dev) //nolint:unconvert // its type differs between architectures
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(dev), unix.Minor(dev), st.Ino)
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	found := false
	for lines := bufio.NewScanner(bytes.NewReader(locks)); lines.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 1234 fd:01:567 0 EOF; who waits for it has "->" after the
		// number.
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != inode {
			continue
		}
		pid, err := strconv.Atoi(fields[4])
		if err != nil || pid <= 0 || !isOtherUsers(pid) {
			return false
		}
		found = true
	}
	return found
}

// isOtherUsers reports whether a process is another user's, or is not there. Its real user counts: a
// program that is root's by its set-user-ID bit is still run by somebody else.
func isOtherUsers(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return true // gone, or hidden from all but its user and root
	}
	for line := range strings.Lines(string(status)) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			fields := strings.Fields(ids)
			return len(fields) > 0 && fields[0] != "0" && fields[0] != strconv.Itoa(os.Geteuid())
		}
	}
	return false
}
