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

// heldByOtherUser reports whether it is certain that a lock is held, and not by a living process of
// this user or of root. The kernel tells the process that took a lock. If that process has ended, a
// child has inherited the lock; our own locks are never inherited. If the kernel tells no process,
// nothing is certain. That is so in another PID namespace, and on file systems whose inode numbers
// differ from those of stat.
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
		// 1: FLOCK  ADVISORY  WRITE 1234 fd:01:567 0 EOF; a waiting process has "->" after the
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

// isOtherUsers reports whether a process belongs to another user, or does not exist. Its real user
// counts: a set-user-ID program of root is still run by somebody else.
func isOtherUsers(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return true // ended, or hidden from all but its user and root
	}
	for line := range strings.Lines(string(status)) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			fields := strings.Fields(ids)
			return len(fields) > 0 && fields[0] != "0" && fields[0] != strconv.Itoa(os.Geteuid())
		}
	}
	return false
}
