package runner

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sort"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
)

// outline tells of a version file which refs it surely does not undo, without loading it: the hashes of
// all that stands between quotes in it, in order, four bytes each, behind a byte. Empty: it may undo
// anything.
type outline string

// outlineKind names what outlineOf does. An outline is kept from one version of ebb to the next: whatever
// changes in it needs another name, which TestOutlineIsKept reminds of.
const outlineKind = "outline 1"

var outlineSum = crc32.MakeTable(crc32.Castagnoli)

// headerWords are those of a file's head as it was written.
var headerWords = []string{
	"RollbackVersion", "ref", "None", "True", "False", "format", "scenario_type", "scenario", "run_uuid", "cluster_uid", "created", "undoes",
}

// outlineOf reads a file. One whose head was changed by hand, so that a name in it may be computed, has
// no outline.
func outlineOf(content []byte) outline {
	if !engine.Plain(content, nameVersion, headerWords...) {
		return ""
	}
	var sums []uint32
	for _, quote := range []byte{'"', '\''} {
		// Between any two quotes: what is a string in it, and what stands between two of them.
		for rest, more := content, true; more; {
			var text []byte
			text, rest, more = bytes.Cut(rest, []byte{quote})
			sums = append(sums, crc32.Checksum(text, outlineSum))
		}
	}
	slices.Sort(sums)
	o := make([]byte, 1, 1+4*len(sums))
	for _, sum := range slices.Compact(sums) {
		o = binary.BigEndian.AppendUint32(o, sum)
	}
	return outline(o)
}

// mayUndo reports whether a file may undo one of the refs. If not, it names none of them in its head,
// and mentions none if it can't be loaded.
func (o outline) mayUndo(refs []builtins.Ref) bool {
	return o == "" || slices.ContainsFunc(refs, func(ref builtins.Ref) bool {
		return strings.ContainsAny(ref.Name, "\"'") || o.has(crc32.Checksum([]byte(ref.Name), outlineSum))
	})
}

func (o outline) has(sum uint32) bool {
	at := func(i int) uint32 {
		s := o[1+4*i:]
		return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
	}
	n := (len(o) - 1) / 4
	i := sort.Search(n, func(i int) bool { return at(i) >= sum })
	return i < n && at(i) == sum
}
