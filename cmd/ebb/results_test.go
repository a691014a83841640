package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// What an interrupted replay did not begin is one line if it is many files, and its next command goes on.
func TestInterruptedReplay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		notBegun int
		lines    int
	}{{2, 3}, {manyFiles, 2}, {50_000, 2}} {
		report := &runner.Report{Interrupted: true, Results: []runner.Result{{File: versions.File{Location: "/v/1-a/a.star"}, Outcome: runner.Restored}}}
		for i := range test.notBegun {
			report.Results = append(report.Results, runner.Result{File: versions.File{Location: fmt.Sprintf("/v/1-a/b%d.star", i)}, Outcome: runner.Blocked})
		}
		var out, log bytes.Buffer
		s := &setup{caller: &caller{}, stdout: &out, stderr: io.Discard, log: slog.New(slog.NewTextHandler(&log, nil)), again: "ebb execute-rollback -r x"}
		if code := exitCodeOf(s.finish(report, "text")); code != exitPending {
			t.Errorf("%d: got exit code %d, want %d", test.notBegun, code, exitPending)
		}
		if lines := strings.Count(out.String(), "\n"); lines != test.lines {
			t.Errorf("%d: got %d lines, want %d:\n%s", test.notBegun, lines, test.lines, out.String())
		}
		if want := fmt.Sprintf("interrupted: %d of %d version file(s) were not begun; to go on, run: ebb execute-rollback -r x", test.notBegun, test.notBegun+1); !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q: %s", want, log.String())
		}
		// A program gets each of them.
		out.Reset()
		var d struct{ Results []any }
		if err := s.print(report, "json"); err != nil || json.Unmarshal(out.Bytes(), &d) != nil || len(d.Results) != test.notBegun+1 {
			t.Errorf("got %d results and %v, want %d", len(d.Results), err, test.notBegun+1)
		}
	}
}
