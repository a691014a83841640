package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

func badArguments(t *testing.T, s versions.Store) {
	for _, uuid := range []string{"", "-a", "a-", "a/b", "..", "a b", "a\n", strings.Repeat("a", 64), "ü"} {
		if _, err := s.Begin(t.Context(), uuid); err == nil {
			t.Errorf("run uuid %q: got no error", uuid)
		}
	}
	for _, id := range []string{"", "..", "x-" + run, "01-" + run, "1", "1-../" + run, "-1-" + run, "+1-" + run} {
		if _, err := s.Open(t.Context(), id); err == nil {
			t.Errorf("execution %q: got no error", id)
		}
		if err := s.Busy(t.Context(), id); err == nil {
			t.Errorf("execution %q: got no error", id)
		}
	}
	if got := list(t, s, versions.Filter{}); len(got) != 0 {
		t.Errorf("got %v, want nothing made", got)
	}
	e := begin(t, s, strings.Repeat("a", 63))
	for _, scenarioType := range []string{"", "..", "a/b", "_a", ".a", "-a", "a b", "a.star", strings.Repeat("a", 129)} {
		if _, err := e.Flush(t.Context(), scenarioType, []byte("x")); err == nil {
			t.Errorf("scenario type %q: got no error", scenarioType)
		}
	}
	for _, content := range [][]byte{nil, bytes.Repeat([]byte("x"), versions.MaxFileSize+1)} {
		if _, err := e.Flush(t.Context(), "pod", content); err == nil {
			t.Errorf("content of %d bytes: got no error", len(content))
		}
	}
	flush(t, e, strings.Repeat("a", 128), strings.Repeat("x", versions.MaxFileSize))
	if got := files(t, e); len(got) != 1 {
		t.Errorf("got %d files, want 1", len(got))
	}
	if _, err := e.Read(t.Context(), versions.File{Execution: e.ID(), Name: "../../etc/passwd"}); err == nil {
		t.Error("read a path")
	}
}

func cancelled(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Begin":        func() error { _, err := s.Begin(ctx, run); return err },
		"Open":         func() error { _, err := s.Open(ctx, e.ID()); return err },
		"Busy":         func() error { return s.Busy(ctx, e.ID()) },
		"List":         func() error { _, err := s.List(ctx, versions.Filter{}); return err },
		"Append":       func() error { return s.Append(ctx, versions.Entry{Event: versions.EventFlushed}) },
		"Flush":        func() error { _, err := e.Flush(ctx, "pod", []byte("x")); return err },
		"MarkExecuted": func() error { _, err := e.MarkExecuted(ctx, f); return err },
		"Probe":        func() error { return e.Probe(ctx) },
		"Replace":      func() error { _, err := e.Replace(ctx, f, []byte("y")); return err },
		"Import":       func() error { _, err := e.Import(ctx, f, []byte("y")); return err },
		"Remove":       func() error { return e.Remove(ctx, f) },
		"Files":        func() error { _, err := e.Files(ctx); return err },
		"Read":         func() error { _, err := e.Read(ctx, f); return err },
		"InFlight":     func() error { _, err := e.InFlight(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	if got := files(t, e); !slices.Equal(names(got), []string{f.Name}) {
		t.Errorf("got %q, want nothing changed", names(got))
	}
}

func closed(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "x")
	unmark, err := e.MarkInFlight(versions.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, e)
	if err := e.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	for name, call := range map[string]func() error{
		"Flush":        func() error { _, err := e.Flush(t.Context(), "pod", []byte("x")); return err },
		"MarkExecuted": func() error { _, err := e.MarkExecuted(t.Context(), f); return err },
		"Probe":        func() error { return e.Probe(t.Context()) },
		"Import":       func() error { _, err := e.Import(t.Context(), f, []byte("y")); return err },
		"Remove":       func() error { return e.Remove(t.Context(), f) },
		"MarkInFlight": func() error { _, err := e.MarkInFlight(versions.Mark{}); return err },
		"unmark":       unmark,
	} {
		if err := call(); !errors.Is(err, versions.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
}
