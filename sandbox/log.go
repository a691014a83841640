package main

import (
	"errors"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// openLog returns the log of the components: stderr if asked for, otherwise the file at path.
func openLog(path string, verbose bool, stderr io.Writer) (log io.Writer, closeLog func() error, err error) {
	if verbose {
		return stderr, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	restore, err := redirectStderr(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, func() error { return errors.Join(restore(), f.Close()) }, nil
}

// redirectStderr redirects to f what any package writes to standard error: some components have
// loggers that no option controls. A crash is still reported on the real standard error.
func redirectStderr(f *os.File) (restore func() error, err error) {
	const stderr = 2
	fd, err := unix.FcntlInt(stderr, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	saved := os.NewFile(uintptr(fd), "stderr")
	if err := debug.SetCrashOutput(saved, debug.CrashOptions{}); err != nil {
		return nil, errors.Join(err, saved.Close())
	}
	if err := unix.Dup2(int(f.Fd()), stderr); err != nil {
		return nil, errors.Join(err, saved.Close())
	}
	return func() error {
		return errors.Join(unix.Dup2(fd, stderr), debug.SetCrashOutput(nil, debug.CrashOptions{}), saved.Close())
	}, nil
}
