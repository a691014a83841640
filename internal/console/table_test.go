package console_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/console"
)

func table(t *testing.T, screen int, rows ...[]string) string {
	t.Helper()
	var b strings.Builder
	table := console.NewTable(&b, screen, 2, "AGE", "STATE", "OBJECTS", "LAST", "FILE")
	for _, row := range rows {
		if err := table.Row(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// tabled are the rows of TestTable: nothing is said of the first, too much of the second.
var tabled = [][]string{
	{"3s", "pending", "Pod käse/x", "", "/var/lib/ebb/1-a/x.star"},
	{"28h", "executed", "", "failed: it was\nno use \x1b[2J at all", "/var/lib/ebb/2-b/y.star"},
	{"30m", "pending", "Pod x/y", "conflict", "/var/lib/ebb/3-c/z.star"},
}

func TestTable(t *testing.T) {
	for screen, want := range map[int]string{
		0: `AGE  STATE     OBJECTS     LAST                                      FILE
3s   pending   Pod käse/x  -                                         /var/lib/ebb/1-a/x.star
28h  executed  -           failed: it was; no use \x1b[2J at all  /var/lib/ebb/2-b/y.star
30m  pending   Pod x/y     conflict                                  /var/lib/ebb/3-c/z.star
`,
		50: `AGE  STATE     OBJECTS     LAST
3s   pending   Pod käse/x
  /var/lib/ebb/1-a/x.star
28h  executed  -
  failed: it was; no use \x1b[2J at all
  /var/lib/ebb/2-b/y.star
30m  pending   Pod x/y     conflict
  /var/lib/ebb/3-c/z.star
`,
		28: `AGE  STATE     OBJECTS
3s   pending   Pod käse/x
  /var/lib/ebb/1-a/x.star
28h  executed  -
  failed: it was; no use
  \x1b[2J at all
  /var/lib/ebb/2-b/y.star
30m  pending   Pod x/y
  conflict
  /var/lib/ebb/3-c/z.star
`,
		20: `AGE  STATE
3s   pending
  Pod käse/x
  /var/lib/ebb/1-a/x.star
28h  executed
  failed: it was; no
  use \x1b[2J at all
  /var/lib/ebb/2-b/y.star
30m  pending
  Pod x/y  conflict
  /var/lib/ebb/3-c/z.star
`,
		12: `AGE  STATE
3s   pending
  Pod käse/x
  /var/lib/ebb/1-a/x.star
28h
executed
  failed: it
  was; no
  use
  \x1b[2J at
  all
  /var/lib/ebb/2-b/y.star
30m  pending
  Pod x/y
  conflict
  /var/lib/ebb/3-c/z.star
`,
	} {
		got := table(t, screen, tabled...)
		if screen == 0 {
			// The longest cell decides, as it is printed.
			want = strings.ReplaceAll(want, "LAST                                      FILE", "LAST"+strings.Repeat(" ", 35)+"FILE")
			want = strings.ReplaceAll(want, "-                                         /var", "-"+strings.Repeat(" ", 38)+"/var")
			want = strings.ReplaceAll(want, "conflict                                  /var", "conflict"+strings.Repeat(" ", 31)+"/var")
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d columns: %s", screen, d)
		}
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); screen > 0 && n > screen && !strings.Contains(line, "/var") {
				t.Errorf("%d columns: %q has %d", screen, line, n)
			}
		}
	}
	if got := table(t, 80); got != "AGE  STATE  OBJECTS  LAST  FILE\n" {
		t.Errorf("no rows: got %q", got)
	}
}

// A table of any length is printed while it comes, and a long cell moves only its own line.
func TestTableStreams(t *testing.T) {
	var b strings.Builder
	table := console.NewTable(&b, 0, 1, "NAME", "FILE")
	for i := range 1000 {
		if err := table.Row([]string{fmt.Sprint(i), "f"}); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(b.String(), "\n"); lines != 1001 {
		t.Errorf("got %d lines before the end, want all", lines)
	}
	if err := table.Row([]string{strings.Repeat("x", 100), "f"}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(b.String(), "\n999   f\n"+strings.Repeat("x", 100)+"  f\n") {
		t.Errorf("got the end %q", b.String()[b.Len()-200:])
	}
	if err := console.NewTable(full{}, 0, 1, "NAME", "FILE").Close(); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the writer's error", err)
	}
}
