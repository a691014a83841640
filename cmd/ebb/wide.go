package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// wide lists version files in a table. It prints each as soon as it is read: there may be a hundred
// thousand.
type wide struct {
	ctx     context.Context // of the command
	table   *console.Table
	store   versions.Store
	runner  *runner.Runner
	journal map[string]journaled
}

// journaled is what the journal says about a file.
type journaled struct {
	by      string // who wrote the file
	flushed string // the SHA-256 of the file at that time
	last    string // the outcome of the last attempt, and its reason
}

func (s *setup) newWide(ctx context.Context, w io.Writer) (*wide, error) {
	r, err := runner.New(s.store, runner.Options{})
	if err != nil {
		return nil, err
	}
	table := console.NewTable(w, console.Width(s.stdout), 5, "AGE", "STATE", "OWNER", "SEAL", "CLUSTER", "SCENARIO", "OBJECTS", "LAST", "FILE")
	t := &wide{ctx: ctx, table: table, store: s.store, runner: r, journal: map[string]journaled{}}
	return t, t.readJournal(ctx)
}

func (t *wide) execution(x versions.ExecutionInfo) error {
	owner, err := t.owner(t.ctx, x.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since it was listed
	}
	if err != nil {
		return err
	}
	for _, f := range x.Files {
		if err := t.file(t.ctx, f, owner); err != nil {
			return err
		}
	}
	return nil
}

func (t *wide) problem(versions.Problem) error { return nil }
func (t *wide) end() error                     { return t.table.Close() }

func (t *wide) readJournal(ctx context.Context) error {
	for e, err := range t.store.Journal(ctx, versions.Filter{}) {
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			continue // a crash can leave this; history reports it
		}
		key := versions.File{Execution: e.Execution, Name: e.File}.Key()
		known := t.journal[key]
		switch e.Event {
		case versions.EventFlushed:
			known.by, known.flushed = e.User+"@"+e.Host, e.SHA256
		case versions.EventAttempt:
			known.last = "attempt without end"
		case versions.EventOutcome:
			known.last = e.Outcome
			if e.Message != "" {
				known.last += ": " + e.Message
			}
		case versions.EventMarked:
			known.last = "marked: " + e.Message
		}
		t.journal[key] = known
	}
	return nil
}

// owner returns the process that uses an execution, "" for none.
func (t *wide) owner(ctx context.Context, id string) (string, error) {
	err := t.store.Busy(ctx, id)
	var locked *versions.LockedError
	switch {
	case errors.As(err, &locked) && locked.Holder.PID != 0:
		return fmt.Sprintf("live, PID %d@%s", locked.Holder.PID, locked.Holder.Host), nil
	case errors.As(err, &locked):
		return "live", nil
	case err != nil && runner.IsRefused(err):
		return "refused", nil
	}
	return "", err
}

func (t *wide) file(ctx context.Context, f versions.File, owner string) error {
	known := t.journal[f.Key()]
	switch {
	case owner != "":
	case f.State == versions.Pending:
		owner = strings.TrimSuffix("dead, "+known.by, ", ")
	default:
		owner = known.by
	}
	seal, cluster, scenario, objects := "?", "", f.ScenarioType, ""
	content, err := t.store.Read(ctx, f)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // executed or removed since it was listed
	case err == nil && f.Kind == versions.KindForeign:
		seal = "krkn"
	case err == nil:
		seal = string(versions.IntegritySince(content, known.flushed))
		if v, ok := t.runner.Header(content); ok {
			cluster, scenario, objects = first(v.ClusterUID, 8), cmp.Or(v.Scenario, scenario), refsText(v.Undoes)
		}
	}
	last := strings.ReplaceAll(known.last, f.Location+":", "line ")
	return t.table.Row([]string{age(f.Created()), string(f.State), owner, seal, cluster, scenario, objects, last, f.Location})
}

// refsText names the first object, and says how many more there are.
func refsText(refs []builtins.Ref) string {
	switch len(refs) {
	case 0:
		return ""
	case 1:
		return refs[0].Short()
	}
	return fmt.Sprintf("%s +%d", refs[0].Short(), len(refs)-1)
}

func first(s string, n int) string { return s[:min(n, len(s))] }
