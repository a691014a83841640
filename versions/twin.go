package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// The rest of this file is for implementations of [Store] outside this package.

// Twin is a store that can hold copies of the executions of another store, under the same names.
type Twin interface {
	Store

	// Adopt locks the execution with an ID until its Close, as Open does. It creates the execution
	// if it does not exist.
	Adopt(ctx context.Context, id string) (TwinExecution, error)
}

// TwinExecution is a locked execution of a [Twin]. The executions that its Open returns also
// implement it.
type TwinExecution interface {
	Execution

	// Put writes a copy of a file of another store, with the same name and state. The error wraps
	// [io/fs.ErrExist] if a file has the name.
	Put(ctx context.Context, f File, content []byte) (File, error)
}

// Losable is an execution whose lock can be lost: another process takes it over if the holder seems
// to be dead.
type Losable interface {
	// Lost is closed when another process has taken the execution over. After that, the methods
	// fail with the error of LostTo.
	Lost() <-chan struct{}
	// LostTo returns a *LockedError that says who has the execution. It is nil before that.
	LostTo() error
	// Permit finds out whether another process may have taken the execution over. If not, it
	// returns nil, and a check to call when a request is written to its connection. The check sends
	// no request. If Permit can't find out, an undo may continue: two undos of the same change do
	// no harm, and none at all would.
	Permit(ctx context.Context, undo bool) (check func() error, err error)
}

// NewExecutionID returns the ID of an execution that begins now. newest is the timestamp of the
// newest execution.
func NewExecutionID(newest int64, runUUID string) (string, error) {
	if err := CheckRunUUID(runUUID); err != nil {
		return "", err
	}
	return executionID(stamps.after(newest, time.Now()), runUUID)
}

// ParseExecutionID is the reverse of [NewExecutionID].
func ParseExecutionID(id string) (timestamp int64, runUUID string, err error) {
	return parseExecutionID(id)
}

// NewFile returns the File, with its name, of a version file that is written now. newest is the
// newest timestamp in the execution.
func NewFile(execution, scenarioType string, newest int64, content []byte) (File, error) {
	if err := checkContent(content); err != nil {
		return File{}, err
	}
	now := time.Now()
	name, err := newFileName(scenarioType, stamps.after(newest, now))
	if err != nil {
		return File{}, err
	}
	f := name.file(execution)
	f.Size, f.Changed = int64(len(content)), now
	return f, nil
}

// ParseFile returns what the name of a file says of it.
func ParseFile(execution, name string) (File, error) {
	parsed, err := parseFileName(name)
	if err != nil {
		return File{}, err
	}
	return parsed.file(execution), nil
}

func (n fileName) file(execution string) File {
	return File{Execution: execution, Name: n.String(), ScenarioType: n.scenarioType, Timestamp: n.timestamp, Kind: n.kind, State: n.state}
}

// In returns the file with the state, and with the name that it has in that state.
func (f File) In(state State) File {
	if parsed, err := parseFileName(f.Name); err == nil {
		parsed.state = state
		f.Name, f.State = parsed.String(), state
	}
	return f
}

// CheckContent returns an error if content can't be a version file: it is empty, or longer than
// [MaxFileSize].
func CheckContent(content []byte) error { return checkContent(content) }

// SortFiles sorts files as listings do, newest first.
func SortFiles(files []File) { sortFiles(files) }

// Self returns this process as a [Holder].
func Self() Holder { return self(time.Now()) }

// Completed returns the entry with the time and the process filled in, and shortened to the length
// that the journal keeps.
func (e Entry) Completed() (Entry, error) {
	line, err := e.completed(time.Now()).line()
	if err != nil {
		return Entry{}, err
	}
	return parseEntry(line)
}

// Matches reports whether a filter selects the entry.
func (e Entry) Matches(f Filter) bool { return e.matches(f) }

// Completed returns the mark as it is stored, with the times of clocks that nobody can set.
func (m Mark) Completed() Mark { return m.completed(thisBoot(), time.Now()) }

// Machine is one boot of one machine. It is used to decide whether the process of a [Holder] can be
// looked for here.
type Machine struct {
	Boot   string        // "" if the system does not report it
	Uptime time.Duration // CLOCK_BOOTTIME; it also counts while the machine sleeps
}

// ThisMachine reads a clock that nobody can set. If the system has none, Uptime is the time since
// the start of this process, and Boot is empty.
func ThisMachine() Machine {
	current := thisBoot()
	if current.id == "" && current.uptime == 0 {
		current.uptime = time.Since(processBegan)
	}
	return Machine{current.id, current.uptime}
}

var processBegan = time.Now()

// Adopt implements Twin.
func (d *Dir) Adopt(ctx context.Context, id string) (_ TwinExecution, err error) {
	defer exportChange(&err)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, _, err := parseExecutionID(id); err != nil {
		return nil, err
	}
	root, err := d.open(true)
	if err != nil {
		return nil, err
	}
	err = d.settle(root)
	if err == nil {
		if err = root.Mkdir(id); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	var e *dirExecution
	if err == nil {
		e, err = d.lock(root, id)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	e.warn(e.settle())
	return e, nil
}

// Put implements TwinExecution.
func (e *dirExecution) Put(ctx context.Context, f File, content []byte) (_ File, err error) {
	defer exportChange(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	name, err := e.own(f)
	if err == nil {
		err = name.checkContent(KindVersion, content)
	}
	if err != nil {
		return f, err
	}
	if err := e.settle(); err != nil {
		return f, fmt.Errorf("version file not written: %w", err)
	}
	for _, state := range []State{Pending, Executed} {
		if _, err := e.dir.Lstat(f.In(state).Name); !errors.Is(err, fs.ErrNotExist) {
			return f, errors.Join(err, &fs.PathError{Op: "put", Path: e.dir.Path() + "/" + f.Name, Err: fs.ErrExist})
		}
	}
	if err := e.dir.WriteFile(f.Name, content, fileMode); err != nil {
		return f, fmt.Errorf("version file not written: %w", err)
	}
	f.Size, f.Changed, f.Location = int64(len(content)), time.Now(), e.dir.Path()+"/"+f.Name
	return f, nil
}

// Adopt implements Twin.
func (s *Memory) Adopt(ctx context.Context, id string) (TwinExecution, error) {
	timestamp, runUUID, err := parseExecutionID(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if _, ok := s.executions[id]; !ok && ctx.Err() == nil {
		s.executions[id] = &memoryExecution{id: id, runUUID: runUUID, timestamp: timestamp, changed: time.Now(), files: map[string]memoryFile{}}
	}
	s.mu.Unlock()
	e, err := s.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.(*memoryHold), nil
}

// Put implements TwinExecution.
func (h *memoryHold) Put(ctx context.Context, f File, content []byte) (File, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	if err := checkContent(content); err != nil {
		return f, err
	}
	if f.Execution != h.id {
		return f, fmt.Errorf("version file %q: got one of execution %q, want %q", f.Name, f.Execution, h.id)
	}
	for _, state := range []State{Pending, Executed} {
		if _, there := h.files[f.In(state).Name]; there {
			return f, fmt.Errorf("version file %q: %w", f.Name, fs.ErrExist)
		}
	}
	f.Size, f.Changed, f.Location = int64(len(content)), time.Now(), h.Location()+"/"+f.Name
	return h.put(memoryFile{File: f, content: append([]byte(nil), content...)}), nil
}
