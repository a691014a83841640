package versions

import (
	"errors"
	"fmt"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// ErrClosed is the error of an execution's methods after Close.
var ErrClosed = errors.New("execution is closed")

// LockedError says that somebody else has the execution: a run or a replay that is alive. Holder.PID is 0 when who it is can't be read.
type LockedError struct {
	Execution string
	Holder    Holder
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("execution %q is in use by another process", e.Execution)
	}
	return fmt.Sprintf("execution %q is in use by PID %d on host %q since %s", e.Execution, e.Holder.PID, e.Holder.Host, e.Holder.Since.Format(time.RFC3339))
}

// InsecureError says that a directory or file is refused because somebody else might have put it there or written to it. Its fields
// are Path, Problem (which reads on after the path) and Remedy (the command to type).
type InsecureError = durable.InsecureError

// JournalError says that one line of the journal can't be read.
type JournalError struct {
	Line int
	Err  error
}

func (e *JournalError) Error() string { return fmt.Sprintf("journal line %d: %v", e.Line, e.Err) }
func (e *JournalError) Unwrap() error { return e.Err }
