package versions

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// memoryHold is an execution from Begin or Open to Close.
type memoryHold struct {
	store *Memory
	*memoryExecution
	as Holder
}

// enter locks the store for a method of an execution that is still held.
func (h *memoryHold) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.store.mu.Lock()
	if h.holder != h {
		h.store.mu.Unlock()
		return nil, ErrClosed
	}
	return h.store.mu.Unlock, nil
}

// Flush implements Execution.
func (h *memoryHold) Flush(ctx context.Context, scenarioType string, content []byte) (File, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return File{}, err
	}
	defer leave()
	if err := checkContent(content); err != nil {
		return File{}, err
	}
	now := time.Now()
	name, err := newFileName(scenarioType, stamps.after(0, now))
	if err != nil {
		return File{}, err
	}
	return h.put(memoryFile{File: File{
		Execution: h.id, Name: name.String(), ScenarioType: scenarioType, Timestamp: name.timestamp, Kind: KindVersion, State: Pending,
		Size: int64(len(content)), Changed: now, Location: h.Location() + "/" + name.String(),
	}, content: bytes.Clone(content)}), nil
}

// Probe implements Execution.
func (h *memoryHold) Probe(ctx context.Context) error {
	leave, err := h.enter(ctx)
	if err != nil {
		return err
	}
	leave()
	return nil
}

// Files implements Execution.
func (h *memoryHold) Files(ctx context.Context) ([]File, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return h.list(Filter{}), nil
}

// Read implements Execution.
func (h *memoryHold) Read(ctx context.Context, f File) ([]byte, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	file, err := h.file(f)
	return bytes.Clone(file.content), err
}

// pending finds a pending file of this execution.
func (h *memoryHold) pending(f File) (memoryFile, error) {
	file, err := h.file(f)
	if err == nil && file.State != Pending {
		err = fmt.Errorf("version file %q: got an executed one, want a pending one", f.Name)
	}
	return file, err
}

// Replace implements Execution.
func (h *memoryHold) Replace(ctx context.Context, f File, content []byte) (File, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	file, err := h.pending(f)
	if err != nil {
		return f, err
	}
	if err := checkContent(content); err != nil {
		return f, err
	}
	if file.original == nil {
		file.original = file.content
	}
	file.content, file.Size, file.Changed = bytes.Clone(content), int64(len(content)), time.Now()
	return h.put(file), nil
}

// MarkExecuted implements Execution.
func (h *memoryHold) MarkExecuted(ctx context.Context, f File) (File, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	file, err := h.pending(f)
	if err != nil {
		return f, err
	}
	h.drop(file.Name)
	file.Name, file.Location, file.State, file.Changed = file.Name+executedSuffix, file.Location+executedSuffix, Executed, time.Now()
	return h.put(file), nil
}

// Import implements Execution. A memory store never has files of Krkn's.
func (h *memoryHold) Import(ctx context.Context, f File, content []byte) (File, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return File{}, err
	}
	defer leave()
	if _, err := h.pending(f); err != nil {
		return File{}, err
	}
	if err := checkContent(content); err != nil {
		return File{}, err
	}
	return File{}, fmt.Errorf("version file %q: got one of ours, want one of Krkn's", f.Name)
}

// Remove implements Execution.
func (h *memoryHold) Remove(ctx context.Context, files ...File) error {
	leave, err := h.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for _, f := range files {
		if f.Execution != h.id {
			return fmt.Errorf("version file %q: got one of execution %q, want %q", f.Name, f.Execution, h.id)
		}
	}
	for _, f := range files {
		h.drop(f.Name)
	}
	return nil
}

// MarkInFlight implements Execution.
func (h *memoryHold) MarkInFlight(m Mark) (func() error, error) {
	leave, err := h.enter(context.Background())
	if err != nil {
		return nil, err
	}
	defer leave()
	m = m.completed(thisBoot(), time.Now())
	mark := &m
	h.marks = append(h.marks, mark)
	return func() error {
		leave, err := h.enter(context.Background())
		if err != nil {
			return err
		}
		defer leave()
		h.marks = slices.DeleteFunc(h.marks, func(other *Mark) bool { return other == mark })
		return nil
	}, nil
}

// InFlight implements Execution.
func (h *memoryHold) InFlight(ctx context.Context) ([]Mark, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	found := []Mark{}
	for _, mark := range h.marks {
		found = append(found, *mark)
	}
	slices.SortStableFunc(found, func(a, b Mark) int { return a.At.Compare(b.At) })
	return found, nil
}

// Close implements Execution.
func (h *memoryHold) Close() error {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	if h.holder != h {
		return nil
	}
	h.holder = nil
	now := time.Now()
	h.marks = slices.DeleteFunc(h.marks, func(m *Mark) bool { return m.Left(now) == 0 })
	if len(h.files) == 0 {
		delete(h.store.executions, h.id)
	}
	return nil
}
