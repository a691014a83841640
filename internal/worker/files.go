package worker

import (
	"fmt"
	"syscall"
)

// fewestFiles is how many open files two processes with a connection and a locked directory need.
// With less, Go's runtime can't even make what it waits on, and ends the process with a page of
// stacks.
const fewestFiles = 32

// FileLimitError is a limit on open files that is too low to work with.
type FileLimitError struct{ Limit uint64 }

func (e *FileLimitError) Error() string {
	return fmt.Sprintf("open files: the limit is %d, want at least %d", e.Limit, fewestFiles)
}

// Hints say what to do about it.
func (e *FileLimitError) Hints() []string { return []string{"ulimit -n 1024"} }

// CheckFileLimit looks at the limit before the first file is opened that needs the runtime's
// poller. Its error is a [*FileLimitError].
func CheckFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil // not known: what fails for it will say so
	}
	if limit.Cur < fewestFiles {
		return &FileLimitError{Limit: limit.Cur}
	}
	return nil
}
