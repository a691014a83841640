package versions

import (
	"context"
	"iter"
	"strings"
	"time"
)

// MaxFileSize bounds a version file: an undo is a page of text, and whatever is longer is no undo.
const MaxFileSize = 1 << 20

// Store keeps executions, their version files and the journal. Its methods may be called from
// several goroutines.
type Store interface {
	// Begin makes a new execution for a run and locks it until its Close. When Begin returns, every
	// new directory entry is on stable storage.
	Begin(ctx context.Context, runUUID string) (Execution, error)

	// Open locks an existing execution until its Close. The error is a *LockedError while somebody
	// else holds it and wraps [io/fs.ErrNotExist] when it is gone, which can happen between List
	// and Open.
	Open(ctx context.Context, id string) (Execution, error)

	// Busy tells whether an execution is in use now, without changing anything: nil if it is not, a
	// *LockedError if it is, and an error that wraps [io/fs.ErrNotExist] when it is gone. It may be
	// otherwise a moment later; whoever goes on to do something to the execution opens it. Nobody's
	// Begin or Open fails because somebody asks.
	Busy(ctx context.Context, id string) error

	// List tells what there is, newest first. It takes no lock and creates nothing; what is wrong
	// with one entry is in the problems and never hides another entry.
	List(ctx context.Context, f Filter) (Listing, error)

	// Read returns the content of a file without locking its execution: for plans, reports and
	// overlap checks.
	Read(ctx context.Context, f File) ([]byte, error)

	// Original returns what was in a file before its first Replace. The error wraps
	// [io/fs.ErrNotExist] if there was none.
	Original(ctx context.Context, f File) ([]byte, error)

	// Append adds a line to the journal, which is history and not state: callers report its failure
	// and go on.
	Append(ctx context.Context, e Entry) error

	// Journal reads the journal, oldest first. A line that can't be read is yielded as a
	// *JournalError, and the reading goes on after it; any other error ends it.
	Journal(ctx context.Context, f Filter) iter.Seq2[Entry, error]

	// Location names the store in messages: for a directory, its path.
	Location() string

	// Warnings says what could make the store's contents vanish.
	Warnings() []string
}

// Execution is one locked execution. Its methods may be called from several goroutines. A cancelled
// context stops each of them before it changes anything; what must happen after a signal too, such
// as MarkExecuted after an undo that was verified, takes a context.WithoutCancel.
type Execution interface {
	ID() string
	RunUUID() string
	Location() string

	// TookOver returns the holder that died without Close, if there was one.
	TookOver() (Holder, bool)

	// Warnings says what went wrong without harm while the execution was opened.
	Warnings() []string

	// Flush writes a new version file, pending, named after everything written before it. It
	// returns once the file and every directory entry above it are on stable storage; after an
	// error no file is left.
	Flush(ctx context.Context, scenarioType string, content []byte) (File, error)

	// Probe finds out whether a Flush would succeed now: it writes a temporary file of 64 KiB as
	// Flush does, reads it back and removes it. Ask before the first change of a scenario: a full
	// or broken disk is better found there than between two changes.
	Probe(ctx context.Context) error

	// Files returns the execution's files, newest first.
	Files(ctx context.Context) ([]File, error)

	// Read returns the content of a file of this execution, checked as it is opened. Insecure files
	// are an *InsecureError.
	Read(ctx context.Context, f File) ([]byte, error)

	// Replace durably gives a pending file another content, all or nothing. What was in it before
	// the first time is kept for Store.Original, as long as the file itself.
	Replace(ctx context.Context, f File, content []byte) (File, error)

	// MarkExecuted renames a pending file F to F.executed, never over another file. When the
	// returned file is executed although there is an error, the name changed but might not survive
	// a power loss; the undo would then run again.
	MarkExecuted(ctx context.Context, f File) (File, error)

	// Import durably writes a version file that stands for a pending foreign file F.py, as F.star,
	// and then renames that to F.py.imported. If F.star or F.star.executed is there already, as
	// after a kill between the two, it is left as it is. It returns the version file; when that is
	// there although there is an error, F.py might still be pending.
	Import(ctx context.Context, f File, content []byte) (File, error)

	// Remove durably removes files of this execution: version files only, never foreign ones.
	Remove(ctx context.Context, files ...File) error

	// MarkInFlight notes a mutating request that is about to be sent; unmark is called after its
	// answer. A mark survives the death of this process, not a power loss: by the time a machine is
	// up again no request of its is under way.
	MarkInFlight(m Mark) (unmark func() error, err error)

	// InFlight returns the marks that are there: those left by a dead process, and this one's own.
	InFlight(ctx context.Context) ([]Mark, error)

	// Close unlocks. An execution with nothing but bookkeeping left in it is removed altogether.
	Close() error
}

// Filter selects by exact comparison; what is empty matches all.
type Filter struct {
	RunUUID      string
	ScenarioType string
	PendingOnly  bool   // leaves out executed files; the journal ignores it
	Except       string // leaves out the execution of this ID; the journal ignores it
	OldestFirst  bool   // of [Executions]: the oldest execution comes first; all else ignores it
}

// Kind says who wrote a file.
type Kind string

// The kinds of files.
const (
	KindVersion Kind = "version" // a version file of ours
	KindForeign Kind = "foreign" // Krkn's Python: listed, never replayed, never removed
)

// State is the state that a file's name tells.
type State string

// The states of files.
const (
	Pending  State = "pending"
	Executed State = "executed"
	Imported State = "imported" // of a foreign file: a version file of ours stands for it
)

// File is one file of an execution, as it was when it was listed.
type File struct {
	Execution    string    `json:"execution"` // the ID of its execution
	Name         string    `json:"name"`      // unique in the execution; changes with the state
	ScenarioType string    `json:"scenario_type"`
	Timestamp    int64     `json:"timestamp,string"` // nanoseconds; orders the files of an execution
	Kind         Kind      `json:"kind"`
	State        State     `json:"state"`
	Size         int64     `json:"size"`
	Changed      time.Time `json:"changed"`  // last written, edited or renamed
	Location     string    `json:"location"` // for messages
}

// Key names the file among all of its store, whatever its state.
func (f File) Key() string {
	return f.Execution + "/" + strings.TrimSuffix(strings.TrimSuffix(f.Name, executedSuffix), importedSuffix)
}

// Created is the time in the file's name.
func (f File) Created() time.Time { return time.Unix(0, f.Timestamp) }

// Replayable reports whether the file is a pending version file.
func (f File) Replayable() bool { return f.Kind == KindVersion && f.State == Pending }

// ExecutionInfo is one execution, as it was when it was listed.
type ExecutionInfo struct {
	ID        string    `json:"id"`
	RunUUID   string    `json:"run_uuid"`
	Timestamp int64     `json:"timestamp,string"` // nanoseconds; orders executions
	Changed   time.Time `json:"changed"`          // an entry was last added, renamed or removed
	Location  string    `json:"location"`
	Files     []File    `json:"files"` // newest first, those that the filter selects
	Problems  []Problem `json:"problems,omitempty"`
}

// Created is the time in the execution's ID.
func (e ExecutionInfo) Created() time.Time { return time.Unix(0, e.Timestamp) }

// Listing is the outcome of List.
type Listing struct {
	Executions []ExecutionInfo `json:"executions"`
	Problems   []Problem       `json:"problems,omitempty"` // of the store, not of one execution
}

// Problem is something wrong with one entry.
type Problem struct {
	Location string `json:"location"`
	What     string `json:"what"`
	Remedy   string `json:"remedy,omitempty"` // the command to type, if there is one

	// Hides: it may be a version file that is pending. A replay can't say that all is restored.
	Hides bool `json:"-"`
}

// Holder is who has an execution locked, for messages only: the lock itself is the kernel's.
type Holder struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Command string    `json:"command"`
}
