package runner

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
)

// outline tells of a version file which refs it surely does not undo, without loading it: the hashes of
// all that stands between quotes in it, in order. Nil: it may undo anything.
type outline []uint64

var outlineSeed = maphash.MakeSeed()

// headerWords are those of a file's head as it was written.
var headerWords = []string{
	"RollbackVersion", "ref", "None", "True", "False", "format", "scenario_type", "scenario", "run_uuid", "cluster_uid", "created", "undoes",
}

// outlineOf reads a file. One whose head was changed by hand, so that a name in it may be computed, has
// no outline.
func outlineOf(content []byte) outline {
	if !engine.Plain(content, nameVersion, headerWords...) {
		return nil
	}
	o := outline{}
	for _, quote := range []byte{'"', '\''} {
		// Between any two quotes: what is a string in it, and what stands between two of them.
		for _, text := range bytes.Split(content, []byte{quote}) {
			o = append(o, maphash.Bytes(outlineSeed, text))
		}
	}
	slices.Sort(o)
	return slices.Compact(o)
}

// mayUndo reports whether a file may undo one of the refs. If not, it names none of them in its head,
// and mentions none if it can't be loaded.
func (o outline) mayUndo(refs []builtins.Ref) bool {
	return o == nil || slices.ContainsFunc(refs, func(ref builtins.Ref) bool {
		_, found := slices.BinarySearch(o, maphash.String(outlineSeed, ref.Name))
		return found || strings.ContainsAny(ref.Name, "\"'")
	})
}
