package versions

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// A note that is torn, or no note at all, is no reason to stop anything.
func FuzzNotes(f *testing.F) {
	f.Add(markPrefix+"1", []byte(`{"verb":"create","kind":"Pod","name":"a","until":"2026-11-22T07:43:11Z"}`))
	f.Add(markPrefix+"01", []byte(`{"host":"h","pid":1}`))
	f.Add(markPrefix+"4611686018427387903", []byte("{\"verb\":"))
	f.Add(holderName, []byte("\x00\x00"))
	f.Add("pod_1_abcdefgh.star", []byte("null"))
	parent := fastDir(f)
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if n, ok := markNumber(name); ok && name != markPrefix+strconv.FormatInt(n, 10) {
			t.Errorf("mark %q: printed again with %d", name, n)
		}
		if _, err := parseFileName(name); err == nil && isBookkeeping(name) {
			t.Errorf("%q is a version file and bookkeeping", name)
		}
		path, err := os.MkdirTemp(parent, "notes")
		if err != nil {
			t.Fatal(err)
		}
		const id, own = "1-run", "pod_1_abcdefgh.star"
		dir := filepath.Join(path, id)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string][]byte{own: []byte("x"), markPrefix + "7": content, holderName: content} {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		d := &Dir{path: path, system: lazy{durable.OS{}}}
		e, err := d.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, took := e.TookOver(); !took || len(e.Warnings()) > 0 {
			t.Errorf("took over: got %v, warnings %q", took, e.Warnings())
		}
		before, err := e.InFlight(t.Context())
		if len(content) <= maxNote && (err != nil || len(before) > 1) {
			t.Errorf("got %d marks, %v, want at most 1", len(before), err)
		}
		unmark, err := e.MarkInFlight(Mark{Name: "next"})
		if err != nil {
			t.Fatal(err)
		}
		if after, err := e.InFlight(t.Context()); len(content) <= maxNote && (err != nil || len(after) != len(before)+1) {
			t.Errorf("got %d marks, %v, want %d", len(after), err, len(before)+1)
		}
		if err := unmark(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if files := listed(t, d); len(files) != 1 || files[0].Name != own {
			t.Errorf("got %+v, want %q", files, own)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	})
}

// listed are all files of a store that has no problems.
func listed(t *testing.T, d *Dir) (files []File) {
	t.Helper()
	listing, err := d.List(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range listing.Executions {
		if len(x.Problems) > 0 {
			t.Errorf("got problems %+v", x.Problems)
		}
		files = append(files, x.Files...)
	}
	return files
}
