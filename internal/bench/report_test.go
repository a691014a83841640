package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measured is a small report: ebb takes 1.5 times as long as the bare program, and half of it in a
// later version.
func measured(t *testing.T, wall float64) *Report {
	t.Helper()
	r := newReport("a note")
	for _, size := range []int{10, 1000} {
		r.Rows = append(r.Rows, &Result{
			Name: "gone/" + map[int]string{10: "10", 1000: "1000"}[size], What: "files & objects", Size: size, Reach: 1.3,
			Ebb:  []Sample{{Wall: wall, CPU: 30}, {Wall: wall / 2, CPU: 30}, {Wall: 10 * wall, CPU: 30, First: 4}},
			Bare: []Sample{{Wall: 100, CPU: 10}},
		})
	}
	name := filepath.Join(t.TempDir(), "sub", "bench.json")
	if err := r.write(name); err != nil {
		t.Fatal(err)
	}
	read, err := readReport(name)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := measured(t, 150).table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a note", "| files & objects | 150 ms (75 ms to 1.50 s) | 100 ms | 1.50 | 3.00 | 1.30 |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got %s\nwant %q in it", b.String(), want)
		}
	}
}

func TestCompare(t *testing.T) {
	before, after := measured(t, 150), measured(t, 75)
	before.Rows[1].Name = "only before"
	var b strings.Builder
	if err := compare(&b, before, after); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("got %d lines, want a head and three rows:\n%s", len(lines), b.String())
	}
	for i, want := range []string{"", "gone/10 150 ms 75 ms 0.50 0.50 1.00", "gone/1000 - 75 ms", "only before 150 ms -"} {
		if got := strings.Join(strings.Fields(lines[i]), " "); i > 0 && got != want {
			t.Errorf("line %d: got %q, want %q", i, got, want)
		}
	}
}

func TestReadReportRefuses(t *testing.T) {
	name := filepath.Join(t.TempDir(), "old.json")
	if err := os.WriteFile(name, []byte(`{"version": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readReport(name); err == nil || !strings.Contains(err.Error(), "got format 99, want 1") {
		t.Errorf("got %v", err)
	}
}

func TestPlots(t *testing.T) {
	dir := t.TempDir()
	if err := measured(t, 150).plots(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"ratios.svg": 2, "growth.svg": 2, "memory.svg": 2} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		decoder := xml.NewDecoder(strings.NewReader(string(content)))
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if start, ok := token.(xml.StartElement); ok {
				counts[start.Name.Local+" "+color(start)]++
			}
		}
		// One bar a row; one curve of ebb's and one of the bare program's.
		element := map[string]string{"ratios.svg": "rect " + ebbColor, "growth.svg": "polyline none", "memory.svg": "polyline none"}[name]
		if counts[element] != want {
			t.Errorf("%s: got %d of %q, want %d: %v", name, counts[element], element, want, counts)
		}
	}
}

// color is what an element is filled with.
func color(e xml.StartElement) string {
	for _, a := range e.Attr {
		if a.Name.Local == "fill" {
			return a.Value
		}
	}
	return ""
}

// TestRows: a row is found in two measurements by its name, and drawn by its size.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range allRows() {
		if seen[r.Name] || r.Name == "" || r.What == "" || r.prepare == nil {
			t.Errorf("row %q is there twice, or lacks something", r.Name)
		}
		seen[r.Name] = true
	}
}

func TestWidened(t *testing.T) {
	one := &template{namespace: "shop", runUUID: "u", files: []versionFile{{"hog_scenarios", []byte(`rollback_version = RollbackVersion(
    undoes = [ref("Pod", "cpu-hog-abcde", "shop")],
)
rollback_content = RollbackContent(pods = {"cpu-hog-abcde": "node-1"})
`)}}}
	copies := []*copied{{objects: []Request{{Name: "a"}}}, {objects: []Request{{Name: "b"}}}}
	got := string(widened(one, copies).files[0].content)
	for _, want := range []string{`ref("Pod", "a", "shop"),`, `ref("Pod", "b", "shop"),`, `"a": "node-1",`, `"b": "node-1",`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q in it", got, want)
		}
	}
	if strings.Contains(got, "cpu-hog-abcde") {
		t.Errorf("got %s\nwant no pod of the template in it", got)
	}
}
