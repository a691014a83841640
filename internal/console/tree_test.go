package console_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/console"
)

func TestTree(t *testing.T) {
	branches := []console.Node{
		{Text: "1-a", Children: []console.Node{{Text: "hog_scenarios_1_fphcbojh.star"}, {Text: "hog_scenarios_2_mfsaltfl.star", Children: []console.Node{{Text: "below"}}}}},
		{Text: "2-b\x1b[2J"},
		{Text: "3-c", Children: []console.Node{{Text: "pvc_scenarios_3_btmcxrri.star.executed"}}},
	}
	want := `/tmp/kraken-rollback/
├── 1-a
│   ├── hog_scenarios_1_fphcbojh.star
│   └── hog_scenarios_2_mfsaltfl.star
│       └── below
├── 2-b\x1b[2J
└── 3-c
    └── pvc_scenarios_3_btmcxrri.star.executed
`
	var got strings.Builder
	tree, err := console.NewTree(&got, "/tmp/kraken-rollback/")
	for _, branch := range branches {
		err = errors.Join(err, tree.Add(branch))
	}
	if err := errors.Join(err, tree.Close()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
	if _, err := console.NewTree(full{}, "/"); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

// writes counts writes.
type writes struct{ n, bytes int }

func (w *writes) Write(b []byte) (int, error) {
	w.n++
	w.bytes += len(b)
	return len(b), nil
}

// The first line comes at once; a hundred thousand lines are not as many writes.
func TestStream(t *testing.T) {
	var w writes
	s := console.NewStream(&w)
	line := []byte("a line\n")
	if _, err := s.Write(line); err != nil || w.bytes != len(line) {
		t.Errorf("got %d bytes and %v, want the first line", w.bytes, err)
	}
	for range 100_000 {
		if _, err := s.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil || w.bytes != 100_001*len(line) || w.n > 10_000 {
		t.Errorf("got %d bytes in %d writes and %v, want all in few", w.bytes, w.n, err)
	}
	if err := console.NewStream(full{}).Flush(); err != nil {
		t.Errorf("nothing was written: got %v", err)
	}
	if _, err := console.NewStream(full{}).Write(line); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

var errFull = errors.New("no space left on device")

// full is a device with no space left.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
