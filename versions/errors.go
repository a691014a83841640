package versions

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// ErrClosed is the error of an execution's methods after Close.
var ErrClosed = errors.New("execution is closed")

// ErrReadOnly is in the chain of an error if the store takes no change at all: its file system is
// mounted read-only, or its directory is not writable. Earlier changes still hold. If a file was
// undone and can't be marked for this reason, its undo is still done: only its name says pending,
// and it blocks no older file.
var ErrReadOnly = errors.New("the store is read-only")

// LockedError says that a run or a replay that is alive holds the execution.
type LockedError struct {
	Execution string // its ID
	Location  string // of the execution, for messages
	Holder    Holder // its PID is 0 if it can't be read
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("execution %q is in use by %s", e.Execution, e.Holder.unnumbered())
	}
	return fmt.Sprintf("execution %q is in use by PID %d on host %q since %s", e.Execution, e.Holder.PID, e.Holder.Host, e.Holder.Since.Format(time.RFC3339))
}

// Hints says who the holder is, and how to end it so that it undoes its changes.
func (e *LockedError) Hints() []string {
	h := e.Holder
	switch {
	case h.PID == 0 && strings.Contains(e.Location, "://"): // in a cluster: no local process has it open
		return []string{"wait for it to end, or until its Lease has not been renewed for a minute"}
	case h.PID == 0:
		return []string{"wait for it to end; who it is: fuser -v " + durable.Quote(e.Location)}
	case h.Local():
		return []string{fmt.Sprintf("wait for it to end (it is %q), or interrupt it, which makes it undo what it did: kill -INT %d", h.Command, h.PID)}
	}
	return []string{fmt.Sprintf("wait for it to end, or interrupt it (%q) on host %q", h.Command, h.Host)}
}

// unnumbered describes a holder whose PID is not known.
func (h Holder) unnumbered() string {
	if h.Host == "" {
		return "another process"
	}
	return fmt.Sprintf("another process (%q)", h.Host)
}

// Local reports whether the holder is on this host, where its PID means something.
func (h Holder) Local() bool { return h.Host == hostName() }

// InsecureError says that a directory or file is refused, because another user could have created
// or changed it.
type InsecureError struct {
	Path    string
	Problem string // continues a sentence that begins with the path
	Remedy  string // the command that fixes it, "" if there is none
}

func (e *InsecureError) Error() string { return fmt.Sprintf("%q %s", e.Path, e.Problem) }

// Hints returns the remedy.
func (e *InsecureError) Hints() []string {
	if e.Remedy == "" {
		return nil
	}
	return []string{e.Remedy}
}

// JournalError says that one line of the journal can't be read.
type JournalError struct {
	Line int
	Err  error
}

func (e *JournalError) Error() string { return fmt.Sprintf("journal line %d: %v", e.Line, e.Err) }
func (e *JournalError) Unwrap() error { return e.Err }

// kindError adds a kind to an error, for users of this package. The text is that of the error.
type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// export adds the error types of this package to an error that leaves it, and keeps the chain.
// Every exported function that uses a disk ends with it: defer exportTo(&err).
func export(err error) error {
	if err == nil {
		return nil
	}
	var insecure *durable.InsecureError
	if errors.As(err, &insecure) && !errors.As(err, new(*InsecureError)) {
		err = &kindError{err, &InsecureError{insecure.Path, insecure.Problem, insecure.Remedy}}
	}
	if errors.Is(err, syscall.EROFS) && !errors.Is(err, ErrReadOnly) {
		err = &kindError{err, ErrReadOnly}
	}
	return err
}

func exportTo(err *error) { *err = export(*err) }

// exportChange is exportTo for a change in a directory that was opened and checked before. A
// missing permission there makes the whole store read-only.
func exportChange(err *error) {
	if errors.Is(*err, fs.ErrPermission) && !errors.Is(*err, ErrReadOnly) {
		*err = &kindError{*err, ErrReadOnly}
	}
	exportTo(err)
}

// UntrustedError says that a version file is not proven to be written by a runner, in a store that
// others can write to. It has no signature, or its signature is not valid for a known key and this
// place.
type UntrustedError struct {
	Location string
	Problem  string // continues a sentence that begins with the location
	Digest   string // of the content, "" if it can't be read
}

func (e *UntrustedError) Error() string { return fmt.Sprintf("%s %s", e.Location, e.Problem) }

// LostError says that another process has taken over an execution that this process held, because
// this process seemed to be dead. The other process undoes its changes.
type LostError struct{ LockedError }

func (e *LostError) Error() string {
	by := e.Holder.unnumbered()
	if e.Holder.PID != 0 {
		by = fmt.Sprintf("PID %d (%s) on host %q", e.Holder.PID, e.Holder.Command, e.Holder.Host)
	}
	return fmt.Sprintf("execution %q was taken over by %s: it is undone there, and nothing more is done here", e.Execution, by)
}

// Unwrap returns it as a *LockedError.
func (e *LostError) Unwrap() error { return &e.LockedError }
