package runner

import (
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// purposePrefix begins the comment that holds a digest of what a file was written for. An edit that
// changes a name all over the file changes the header with it, but not the digest: so a lost journal
// does not make such an edit invisible.
const purposePrefix = "# sha256 of undoes: "

// withPurpose adds the comment to a file that is about to be sealed.
func withPurpose(content []byte, undoes []builtins.Ref) []byte {
	return append(content, purposePrefix+purposeDigest(undoes)+"\n"...)
}

// purposeIn returns the digest that a file was written with, "" where there is none: a file that
// somebody wrote by hand, or an older ebb.
func purposeIn(content []byte) string {
	for line := range strings.Lines(string(content)) {
		if digest, ok := strings.CutPrefix(line, purposePrefix); ok {
			return strings.TrimSpace(digest) // an editor may have put other ends to lines
		}
	}
	return ""
}

// purposeDigest is the same in whatever order the refs are.
func purposeDigest(undoes []builtins.Ref) string {
	lines := make([]string, len(undoes))
	for i, r := range undoes {
		lines[i] = r.Literal()
	}
	slices.Sort(lines)
	return versions.Digest([]byte(strings.Join(slices.Compact(lines), "\n")))
}

// purposeUnknown is said of an edited file whose undo changed something, and of which only its
// header, which anybody can edit, still says what it was written for.
const purposeUnknown = "what the file was written for is not known: neither the journal nor a digest in it says so. Only what its header names now was looked at"

// purposeLost reports whether purposeUnknown is to be said of an edited file.
func (p *replayer) purposeLost(file *versionFile, f versions.File) bool {
	return file.purpose == "" && p.journaled.flushed[f.Key()] == ""
}

// checkPurpose refuses an edited file of which nobody knows any more what it was written for: its
// header was edited as well, and the journal, which also has it, is lost. What its undo would leave
// alone would be forgotten.
func (p *replayer) checkPurpose(file *versionFile, f versions.File) error {
	journaled := p.journaled.undoes[f.Key()]
	switch file.purpose {
	case "", purposeDigest(file.Undoes), purposeDigest(journaled):
		return nil
	}
	const problem = "its header was edited, too, and does not name what the file was written for, of which the journal says nothing"
	if p.TakeOver {
		file.log.Warn("taken over: " + problem)
		return nil
	}
	return &builtins.ConflictError{Message: problem, Forcible: true}
}
