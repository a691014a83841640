package console_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/internal/console"
)

func logger(t testing.TB, w *bytes.Buffer, format, level string, color bool) *slog.Logger {
	t.Helper()
	l, err := console.NewLogger(w, format, level, color)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func record(level slog.Level, msg string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Date(2025, 8, 22, 15, 54, 6, 137_999_999, time.Local), level, msg, 0)
	r.AddAttrs(attrs...)
	return r
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		record slog.Record
		want   string
	}{
		{record(slog.LevelInfo, "Rollback completed."), "[INFO] Rollback completed."},
		{record(slog.LevelWarn, "careful"), "[WARNING] careful"},
		{record(slog.LevelError, "failed"), "[ERROR] failed"},
		{record(slog.LevelDebug, "detail"), "[DEBUG] detail"},
		{record(slog.LevelInfo, "msg", slog.Int("n", 3), slog.Group("g", slog.String("k\x1b", "a\nb"))), "[INFO] msg"},
		{record(slog.LevelInfo, "first\nsecond\r\n\x1b[31mthird\n"), "[INFO] first\n  second\n  \\x1b[31mthird"},
		{record(slog.LevelInfo, "forged\n2025-08-22 15:54:06,137 [INFO] Rollback completed."), "[INFO] forged\n  2025-08-22 15:54:06,137 [INFO] Rollback completed."},
		{record(slog.LevelInfo, "over\rwritten"), `[INFO] over\rwritten`},
		{record(slog.LevelInfo, ""), "[INFO] "},
	} {
		var b bytes.Buffer
		if err := logger(t, &b, "text", "debug", false).Handler().Handle(t.Context(), test.record); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff("2025-08-22 15:54:06,137 "+test.want+"\n", b.String()); d != "" {
			t.Error(d)
		}
	}
}

// Only the level is coloured.
func TestColor(t *testing.T) {
	var b bytes.Buffer
	if err := logger(t, &b, "text", "info", true).Handler().Handle(t.Context(), record(slog.LevelWarn, "msg", slog.Int("n", 1))); err != nil {
		t.Fatal(err)
	}
	if want := "2025-08-22 15:54:06,137 [\x1b[33mWARNING\x1b[0m] msg\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	if console.Color(&b) {
		t.Error("a buffer is no terminal")
	}
}

func TestLevels(t *testing.T) {
	for _, test := range []struct{ level, want string }{
		{"debug", "dDiIwWeE"}, {"INFO", "iIwWeE"}, {"warning", "wWeE"}, {"warn", "wWeE"}, {"error", "eE"},
	} {
		for _, format := range []string{"text", "json"} {
			var b bytes.Buffer
			l := logger(t, &b, format, test.level, false)
			l.Debug("<dD>")
			l.Info("<iI>")
			l.Warn("<wW>")
			l.Error("<eE>")
			var got string
			for _, m := range regexp.MustCompile(`(?:<|\\u003c)(\w\w)`).FindAllStringSubmatch(b.String(), -1) {
				got += m[1]
			}
			if got != test.want {
				t.Errorf("%s, %s: got %q, want %q", format, test.level, got, test.want)
			}
		}
	}
	for _, bad := range []struct{ format, level, want string }{
		{"text", "loud", `log level: got "loud", want "debug", "info", "warning" or "error"`},
		{"xml", "info", `log format: got "xml", want "text" or "json"`},
	} {
		if _, err := console.NewLogger(&bytes.Buffer{}, bad.format, bad.level, false); err == nil || err.Error() != bad.want {
			t.Errorf("got %v, want %s", err, bad.want)
		}
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	logger(t, &b, "json", "info", true).Info("a\nb\x1b", "n", 1)
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["msg"] != "a\nb\x1b" || got["n"] != 1.0 || got["level"] != "INFO" || bytes.Count(b.Bytes(), []byte("\n")) != 1 || bytes.Contains(b.Bytes(), []byte("\x1b")) {
		t.Errorf("got %s", b.String())
	}
}

// What a query needs is in JSON, also from loggers that were derived, and in text it changes
// nothing.
func TestAttributes(t *testing.T) {
	log := func(format string) string {
		var b bytes.Buffer
		l := logger(t, &b, format, "info", false).With("run_uuid", "one").WithGroup("file").With("name", "a\x1b.star")
		l.Info("Executing rollback callable...", "outcome", "restored")
		return b.String()
	}
	if text := log("text"); !strings.HasSuffix(text, " [INFO] Executing rollback callable...\n") {
		t.Errorf("text: got %q", text)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(log("json")), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "Executing rollback callable...", "run_uuid": "one",
		"file": map[string]any{"name": "a\x1b.star", "outcome": "restored"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The JSON handler keeps slog's contract: groups, inherited attributes, resolved values, no zero
// time.
func TestHandlerContract(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return logger(t, &b, "json", "info", false).Handler()
	}, func(t *testing.T) map[string]any {
		var got map[string]any
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got
	})
}

// Whatever is logged, the output is lines of one record each, or indented ones.
func TestNoForgery(t *testing.T) {
	first := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[INFO\] `)
	rapid.Check(t, func(rt *rapid.T) {
		var b bytes.Buffer
		any := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a\n\r\t "=\x1b\x{9b}\x{2028}\x{202e}]*`))
		logger(t, &b, "text", "info", false).Info(any.Draw(rt, "msg"), any.Draw(rt, "key"), any.Draw(rt, "value"))
		out, ok := strings.CutSuffix(b.String(), "\n")
		if !ok {
			rt.Fatalf("got %q, want a whole line", b.String())
		}
		for i, l := range strings.Split(out, "\n") {
			if i == 0 && !first.MatchString(l) || i > 0 && !strings.HasPrefix(l, "  ") || console.Clean(l) != l {
				rt.Fatalf("got the line %q", l)
			}
		}
	})
}

// counted notes each write, and is not safe for concurrent use: the handler must be.
type counted struct{ writes []string }

func (c *counted) Write(b []byte) (int, error) {
	c.writes = append(c.writes, string(b))
	return len(b), nil
}

func TestOneWriteARecord(t *testing.T) {
	var c counted
	l, err := console.NewLogger(&c, "text", "info", false)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for g := range 8 {
		derived := l.With("g", g)
		all.Go(func() {
			for i := range 100 {
				derived.Info(fmt.Sprintf("line %d\nmore", i))
			}
		})
	}
	all.Wait()
	if len(c.writes) != 800 {
		t.Fatalf("got %d writes, want 800", len(c.writes))
	}
	whole := regexp.MustCompile(`^[-0-9]+ [0-9:,]+ \[INFO\] line \d+\n  more\n$`)
	for _, w := range c.writes {
		if !whole.MatchString(w) {
			t.Fatalf("got the write %q", w)
		}
	}
}

func TestWriteErrorIsReturned(t *testing.T) {
	l, err := console.NewLogger(full{}, "text", "info", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Handler().Handle(t.Context(), record(slog.LevelInfo, "msg")); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}
