package versions

import (
	"context"
	"iter"
	"strings"
	"time"
)

// MaxFileSize is the greatest size of a version file, in bytes. An undo has about a page of text.
const MaxFileSize = 1 << 20

// Store keeps executions, their version files and the journal. Its methods may be called from
// several goroutines.
type Store interface {
	// Begin creates a new execution for a run and locks it until its Close. When Begin returns,
	// every new directory entry is on stable storage.
	Begin(ctx context.Context, runUUID string) (Execution, error)

	// Open locks an existing execution until its Close. The error is a *LockedError while another
	// process holds it. It wraps [io/fs.ErrNotExist] if the execution is gone, which can happen
	// between List and Open.
	Open(ctx context.Context, id string) (Execution, error)

	// Busy reports whether an execution is in use, and changes nothing. It returns nil if it is not
	// in use, a *LockedError if it is, and an error that wraps [io/fs.ErrNotExist] if it is gone.
	// The answer may be outdated at once: open the execution to work on it. Busy never makes a
	// Begin or Open fail.
	Busy(ctx context.Context, id string) error

	// List returns the executions, newest first. It takes no lock and creates nothing. A problem of
	// one entry is listed, and hides no other entry.
	List(ctx context.Context, f Filter) (Listing, error)

	// Read returns the content of a file without locking its execution. Use it for plans, reports
	// and overlap checks.
	Read(ctx context.Context, f File) ([]byte, error)

	// Original returns the content of a file before its first Replace. The error wraps
	// [io/fs.ErrNotExist] if the file was not replaced.
	Original(ctx context.Context, f File) ([]byte, error)

	// Append adds a line to the journal. The journal is history and no state: callers report an
	// error and continue.
	Append(ctx context.Context, e Entry) error

	// Journal yields the entries of the journal, oldest first. A line that can't be read is yielded
	// as a *JournalError, and the reading continues. Any other error ends it.
	Journal(ctx context.Context, f Filter) iter.Seq2[Entry, error]

	// Location names the store in messages: for a directory, its path.
	Location() string

	// Warnings returns reasons why the contents of the store could be lost.
	Warnings() []string
}

// Execution is a locked execution. Its methods may be called from several goroutines. If the
// context is cancelled, a method changes nothing. For what must also happen after a signal, such as
// MarkExecuted after a verified undo, pass a context.WithoutCancel.
type Execution interface {
	ID() string
	RunUUID() string
	Location() string

	// TookOver returns the holder that died without Close, if there was one.
	TookOver() (Holder, bool)

	// Warnings returns errors of the opening that do no harm.
	Warnings() []string

	// Flush writes a new version file in the state pending. Its timestamp is greater than that of
	// all earlier files. When Flush returns, the file and every directory entry above it are on
	// stable storage. After an error, there is no file.
	Flush(ctx context.Context, scenarioType string, content []byte) (File, error)

	// Probe finds out whether Flush would succeed now. It writes a temporary file of 64 KiB as
	// Flush does, reads it back and removes it. Call it before the first change of a scenario, so
	// that a full or broken disk is found before the change.
	Probe(ctx context.Context) error

	// Files returns the execution's files, newest first.
	Files(ctx context.Context) ([]File, error)

	// Read returns the content of a file of this execution. It checks the file at its descriptor,
	// and returns an *InsecureError for a file that is not secure.
	Read(ctx context.Context, f File) ([]byte, error)

	// Replace durably replaces the content of a pending file, completely or not at all. The content
	// before the first Replace is kept for Store.Original, as long as the file exists.
	Replace(ctx context.Context, f File, content []byte) (File, error)

	// MarkExecuted renames a pending file F to F.executed. It never overwrites a file. If it
	// returns an error and the returned file is executed, the name has changed, but might not
	// survive a power loss; the undo would then run again.
	MarkExecuted(ctx context.Context, f File) (File, error)

	// Import durably writes a version file F.star that replaces a pending foreign file F.py, and
	// then renames that to F.py.imported. If F.star or F.star.executed exists already, as after a
	// kill, it is left as it is. Import returns the version file. If it returns an error as well,
	// F.py may still be pending.
	Import(ctx context.Context, f File, content []byte) (File, error)

	// Remove durably removes version files of this execution. It never removes foreign files.
	Remove(ctx context.Context, files ...File) error

	// MarkInFlight notes a changing request that is about to be sent. Call unmark after its answer.
	// A mark survives the death of this process, and no power loss: a boot takes longer than any
	// request.
	MarkInFlight(m Mark) (unmark func() error, err error)

	// InFlight returns the marks that exist: those of dead processes, and those of this process.
	InFlight(ctx context.Context) ([]Mark, error)

	// Close unlocks. If only bookkeeping files are left, it removes the execution.
	Close() error
}

// Filter selects by exact comparison. A zero field selects everything.
type Filter struct {
	RunUUID      string
	ScenarioType string
	PendingOnly  bool   // leaves out executed files; the journal ignores it
	Except       string // leaves out the execution of this ID; the journal ignores it
	NamesOnly    bool   // for counting: files need not be looked at, so their sizes, times and problems may be missing; only [Executions] supports it
	OldestFirst  bool   // the oldest execution comes first; only [Executions] supports it
}

// Kind says who wrote a file.
type Kind string

// The kinds of files.
const (
	KindVersion Kind = "version" // a version file of ebb
	KindForeign Kind = "foreign" // Krkn's Python: listed, never replayed, never removed
)

// State is the state that a file's name tells.
type State string

// The states of files.
const (
	Pending  State = "pending"
	Executed State = "executed"
	Imported State = "imported" // a foreign file that a version file has replaced
)

// File is one file of an execution at the time of the listing.
type File struct {
	Execution    string    `json:"execution"` // the ID of its execution
	Name         string    `json:"name"`      // unique in the execution; changes with the state
	ScenarioType string    `json:"scenario_type"`
	Timestamp    int64     `json:"timestamp,string"` // nanoseconds since 1970; the order of the files of an execution
	Kind         Kind      `json:"kind"`
	State        State     `json:"state"`
	Size         int64     `json:"size"`
	Changed      time.Time `json:"changed"`  // last written, edited or renamed
	Location     string    `json:"location"` // for messages
}

// Key identifies the file in its store. It does not depend on the state.
func (f File) Key() string {
	return f.Execution + "/" + strings.TrimSuffix(strings.TrimSuffix(f.Name, executedSuffix), importedSuffix)
}

// Created is the time in the file's name.
func (f File) Created() time.Time { return time.Unix(0, f.Timestamp) }

// Replayable reports whether the file is a pending version file.
func (f File) Replayable() bool { return f.Kind == KindVersion && f.State == Pending }

// ExecutionInfo is one execution at the time of the listing.
type ExecutionInfo struct {
	ID        string    `json:"id"`
	RunUUID   string    `json:"run_uuid"`
	Timestamp int64     `json:"timestamp,string"` // nanoseconds since 1970; the order of executions
	Changed   time.Time `json:"changed"`          // an entry was last added, renamed or removed
	Location  string    `json:"location"`
	Files     []File    `json:"files"` // those that the filter selects, newest first
	Problems  []Problem `json:"problems,omitempty"`
}

// Created is the time in the execution's ID.
func (e ExecutionInfo) Created() time.Time { return time.Unix(0, e.Timestamp) }

// Listing is the outcome of List.
type Listing struct {
	Executions []ExecutionInfo `json:"executions"`
	Problems   []Problem       `json:"problems,omitempty"` // of the store, and not of one execution
}

// Problem is what is wrong with one entry.
type Problem struct {
	Location string `json:"location"`
	What     string `json:"what"`
	Remedy   string `json:"remedy,omitempty"` // the command that fixes it, if there is one

	// Hides says that the entry may be a pending version file. A replay can't say then that
	// everything is restored.
	Hides bool `json:"-"`
}

// Holder is the process that holds an execution, for messages only: the kernel has the lock.
type Holder struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Command string    `json:"command"`
}
