package versions

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// SealState is the result of comparing a file with its seal, which is its last line.
type SealState string

// The states of seals.
const (
	Written  SealState = "written"  // unchanged since ebb wrote it
	Edited   SealState = "edited"   // changed since; a replay runs it, and says so
	Unsealed SealState = "unsealed" // has no seal: it was written by hand
	Replaced SealState = "replaced" // has a valid seal, but ebb wrote another file under this name
)

const sealPrefix = "# sha256: "

const sealLen = len(sealPrefix) + 2*sha256.Size + 1

// sealLine finds a seal in any line. If it is not the last line, lines were added after it.
var sealLine = lazyregexp.New(`(?m)^` + sealPrefix + `[0-9a-f]{64}$`)

// Digest returns the SHA-256 of content in hexadecimal, as the journal and the seal use it.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Seal returns content with a last line that holds the SHA-256 of all lines above it. It replaces
// an existing seal, and adds a missing newline at the end of the content.
func Seal(content []byte) []byte {
	body, _, _ := cutSeal(content)
	sealed := make([]byte, 0, len(body)+1+sealLen)
	sealed = append(sealed, body...)
	if len(sealed) > 0 && sealed[len(sealed)-1] != '\n' {
		sealed = append(sealed, '\n')
	}
	sum := Digest(sealed)
	sealed = append(sealed, sealPrefix...)
	sealed = append(sealed, sum...)
	return append(sealed, '\n')
}

// Integrity compares content with its seal.
func Integrity(content []byte) SealState {
	body, sum, ok := cutSeal(content)
	switch {
	case ok && sum == Digest(body):
		return Written
	case sealLine.Match(content):
		return Edited
	default:
		return Unsealed
	}
}

// IntegritySince is [Integrity] for a file of which the journal has the SHA-256 flushed: that of
// the content that ebb last wrote. flushed is "" if the journal has none. Anybody can write a seal,
// but not a file with another file's digest. A file that had a seal and has none was edited.
func IntegritySince(content []byte, flushed string) SealState {
	state := Integrity(content)
	switch {
	case state == Written && flushed != "" && flushed != Digest(content):
		return Replaced
	case state == Unsealed && flushed != "":
		return Edited // it had a seal, and has none
	}
	return state
}

// cutSeal splits content before its last line, if that is a seal.
func cutSeal(content []byte) (body []byte, sum string, ok bool) {
	at := len(content) - sealLen
	if at < 0 || (at > 0 && content[at-1] != '\n') {
		return content, "", false
	}
	line := bytes.TrimSuffix(content[at:], []byte("\n"))
	if len(line) == sealLen || !sealLine.Match(line) {
		return content, "", false
	}
	return content[:at], string(line[len(sealPrefix):]), true
}
