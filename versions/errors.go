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

// ErrReadOnly is behind the error of a method that changes something when the store takes no change
// at all: its file system is mounted read-only, or its directory may not be written. What was done
// before still stands. A file that was undone and can't be marked for this reason is undone all the
// same: it is pending by its name only, and is no reason to leave others alone.
var ErrReadOnly = errors.New("the store is read-only")

// LockedError says that somebody else has the execution: a run or a replay that is alive.
type LockedError struct {
	Execution string // its ID
	Location  string // of the execution, for messages
	Holder    Holder // its PID is 0 when who it is can't be read
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("execution %q is in use by %s", e.Execution, e.Holder.unnumbered())
	}
	return fmt.Sprintf("execution %q is in use by PID %d on host %q since %s", e.Execution, e.Holder.PID, e.Holder.Host, e.Holder.Since.Format(time.RFC3339))
}

// Hints says who it is and how to make it end in good order.
func (e *LockedError) Hints() []string {
	h := e.Holder
	switch {
	case h.PID == 0 && strings.Contains(e.Location, "://"): // no process of this machine has it open
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

// InsecureError says that a directory or file is refused because somebody else might have put it
// there or written to it.
type InsecureError struct {
	Path    string
	Problem string // reads on after the path
	Remedy  string // the command to type, "" if none helps
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

// kindError is an error with the kind that it has for users of this package. Its text is the
// error's own.
type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// export gives an error that leaves the package the types that the package promises, and keeps its
// chain. Every exported function that touches a disk ends with it: defer exportTo(&err).
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

// exportChange is exportTo for what changes a directory that was opened and checked before: there,
// a permission that is missing is the whole store's.
func exportChange(err *error) {
	if errors.Is(*err, fs.ErrPermission) && !errors.Is(*err, ErrReadOnly) {
		*err = &kindError{*err, ErrReadOnly}
	}
	exportTo(err)
}

// UntrustedError says that a version file of a store that others can write to is not proven to be
// one that a runner wrote: it has no signature, or not one of a known key for this very place.
type UntrustedError struct {
	Location string
	Problem  string // reads on after the location
	Digest   string // of the content, "" if it can't be read
}

func (e *UntrustedError) Error() string { return fmt.Sprintf("%s %s", e.Location, e.Problem) }

// LostError says that somebody took an execution over while this process had it: this one seemed to
// be dead. What it did is now the other's to undo.
type LostError struct{ LockedError }

func (e *LostError) Error() string {
	by := e.Holder.unnumbered()
	if e.Holder.PID != 0 {
		by = fmt.Sprintf("PID %d (%s) on host %q", e.Holder.PID, e.Holder.Command, e.Holder.Host)
	}
	return fmt.Sprintf("execution %q was taken over by %s: it is undone there, and nothing more is done here", e.Execution, by)
}

// Unwrap makes it a *LockedError, too.
func (e *LostError) Unwrap() error { return &e.LockedError }
