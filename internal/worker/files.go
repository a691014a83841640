package worker

import (
	"fmt"
	"syscall"
)

// fewestFiles is how many open files two processes need that have a connection and a locked
// directory. With fewer, Go's runtime can't create its poller, and ends the process with a page of
// stacks.
const fewestFiles = 32

// FileLimitError is a limit on open files that is too low to work with.
type FileLimitError struct{ Limit uint64 }

func (e *FileLimitError) Error() string {
	return fmt.Sprintf("open files: the limit is %d, want at least %d", e.Limit, fewestFiles)
}

// Hints returns what a person can do about it.
func (e *FileLimitError) Hints() []string { return []string{"ulimit -n 1024"} }

// CheckFileLimit checks the limit on open files. Call it before the first file is opened that needs
// the runtime's poller. The error is a [*FileLimitError].
func CheckFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil // the limit is not known; a later error will say so
	}
	if limit.Cur < fewestFiles {
		return &FileLimitError{Limit: limit.Cur}
	}
	return nil
}
