package console_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/console"
)

func TestTree(t *testing.T) {
	root := console.Node{Text: "/tmp/kraken-rollback/", Children: []console.Node{
		{Text: "1-a", Children: []console.Node{{Text: "hog_scenarios_1_fphcbojh.star"}, {Text: "hog_scenarios_2_mfsaltfl.star", Children: []console.Node{{Text: "below"}}}}},
		{Text: "2-b\x1b[2J"},
		{Text: "3-c", Children: []console.Node{{Text: "pvc_scenarios_3_btmcxrri.star.executed"}}},
	}}
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
	if err := console.Tree(&got, root); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
	if err := console.Tree(full{}, root); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

var errFull = errors.New("no space left on device")

// full is a device with no space left.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
