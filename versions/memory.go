package versions

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync"
	"time"
)

// Memory is a store in the memory of this process. Use it for tests, or in a program that needs no
// undo after it has ended.
type Memory struct {
	mu         sync.Mutex
	executions map[string]*memoryExecution
	journal    []Entry
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{executions: map[string]*memoryExecution{}} }

type memoryFile struct {
	File
	content  []byte
	original []byte // nil before the first Replace
}

// The mutex of its store guards a memoryExecution.
type memoryExecution struct {
	id, runUUID string
	timestamp   int64
	changed     time.Time
	files       map[string]memoryFile
	marks       []*Mark
	holder      *memoryHold
}

// Location implements Store.
func (*Memory) Location() string { return "memory" }

// Warnings implements Store.
func (*Memory) Warnings() []string {
	return []string{"version files are kept in memory only: they end with the process"}
}

// Begin implements Store.
func (s *Memory) Begin(ctx context.Context, runUUID string) (Execution, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	timestamp := stamps.after(0, time.Now())
	id, err := executionID(timestamp, runUUID)
	if err != nil {
		return nil, err
	}
	e := &memoryExecution{id: id, runUUID: runUUID, timestamp: timestamp, changed: time.Now(), files: map[string]memoryFile{}}
	s.executions[id] = e
	return s.hold(e), nil
}

func (s *Memory) hold(e *memoryExecution) *memoryHold {
	e.holder = &memoryHold{store: s, memoryExecution: e, as: self(time.Now())}
	return e.holder
}

// Open implements Store.
func (s *Memory) Open(ctx context.Context, id string) (Execution, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, _, err := parseExecutionID(id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.execution(id)
	if err != nil {
		return nil, err
	}
	if e.holder != nil {
		return nil, &LockedError{Execution: id, Location: e.Location(), Holder: e.holder.as}
	}
	return s.hold(e), nil
}

// Busy implements Store.
func (s *Memory) Busy(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, _, err := parseExecutionID(id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.execution(id)
	if err == nil && e.holder != nil {
		err = &LockedError{Execution: id, Location: e.Location(), Holder: e.holder.as}
	}
	return err
}

func (s *Memory) execution(id string) (*memoryExecution, error) {
	e, ok := s.executions[id]
	if !ok {
		return nil, fmt.Errorf("execution %q: %w", id, fs.ErrNotExist)
	}
	return e, nil
}

// List implements Store.
func (s *Memory) List(ctx context.Context, f Filter) (Listing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listing := Listing{Executions: []ExecutionInfo{}}
	for _, e := range s.executions {
		if f.RunUUID != "" && f.RunUUID != e.runUUID || e.id == f.Except {
			continue
		}
		info := ExecutionInfo{ID: e.id, RunUUID: e.runUUID, Timestamp: e.timestamp, Changed: e.changed, Location: e.Location(), Files: e.list(f)}
		if len(info.Files) > 0 || (f.ScenarioType == "" && !f.PendingOnly) {
			listing.Executions = append(listing.Executions, info)
		}
	}
	slices.SortFunc(listing.Executions, func(a, b ExecutionInfo) int { return cmp.Compare(b.Timestamp, a.Timestamp) })
	return listing, ctx.Err()
}

func (e *memoryExecution) list(f Filter) []File {
	files := []File{}
	for _, file := range e.files {
		if (f.ScenarioType == "" || f.ScenarioType == file.ScenarioType) && (!f.PendingOnly || file.State == Pending) {
			files = append(files, file.File)
		}
	}
	sortFiles(files)
	return files
}

// Read implements Store.
func (s *Memory) Read(ctx context.Context, f File) ([]byte, error) {
	file, err := s.file(ctx, f)
	return bytes.Clone(file.content), err
}

func (s *Memory) file(ctx context.Context, f File) (memoryFile, error) {
	if err := ctx.Err(); err != nil {
		return memoryFile{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.execution(f.Execution)
	if err != nil {
		return memoryFile{}, err
	}
	return e.file(f)
}

// Original implements Store.
func (s *Memory) Original(ctx context.Context, f File) ([]byte, error) {
	file, err := s.file(ctx, f)
	if err == nil && file.original == nil {
		err = fmt.Errorf("original of version file %q: %w", f.Name, fs.ErrNotExist)
	}
	return bytes.Clone(file.original), err
}

// file finds a file of this execution.
func (e *memoryExecution) file(f File) (memoryFile, error) {
	if f.Execution != e.id {
		return memoryFile{}, fmt.Errorf("version file %q: got one of execution %q, want %q", f.Name, f.Execution, e.id)
	}
	file, ok := e.files[f.Name]
	if !ok {
		return memoryFile{}, fmt.Errorf("version file %q: %w", f.Name, fs.ErrNotExist)
	}
	return file, nil
}

// Append implements Store.
func (s *Memory) Append(ctx context.Context, e Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Encoded and decoded, so that both stores keep the same.
	line, err := e.completed(time.Now()).line()
	if err != nil {
		return err
	}
	e, err = parseEntry(line)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = append(s.journal, e)
	return nil
}

// Journal implements Store.
func (s *Memory) Journal(ctx context.Context, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		s.mu.Lock()
		entries := slices.Clone(s.journal)
		s.mu.Unlock()
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, err)
				return
			}
			if e.matches(f) && !yield(e, nil) {
				return
			}
		}
	}
}

func (e *memoryExecution) ID() string             { return e.id }
func (e *memoryExecution) RunUUID() string        { return e.runUUID }
func (e *memoryExecution) Location() string       { return "memory/" + e.id }
func (*memoryExecution) TookOver() (Holder, bool) { return Holder{}, false }
func (*memoryExecution) Warnings() []string       { return nil }
func (e *memoryExecution) put(f memoryFile) File {
	e.files[f.Name] = f
	e.changed = f.Changed
	return f.File
}
func (e *memoryExecution) drop(name string) { delete(e.files, name); e.changed = time.Now() }
