package cell

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// restartWith executes this program again with the capabilities in keep. It can never get others.
// It returns only if it fails.
func (s Setup) restartWith(keep []int) error {
	runtime.LockOSThread()
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if slices.Contains(keep, c) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if err == unix.EINVAL { // this kernel does not know the capability
			continue
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	args, err := s.args(readyName)
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(controlFile, unix.F_SETFD, 0); err != nil {
		return err
	}
	return fmt.Errorf("restart: %w", syscall.Exec("/proc/self/exe", args, os.Environ()))
}

// loopbackUp sets lo up without the machine's ip.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
