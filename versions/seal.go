package versions

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// SealState says what a file's last line tells about the rest.
type SealState string

// The states of seals.
const (
	Written  SealState = "written"  // as it was written
	Edited   SealState = "edited"   // changed since, which is fine and is said
	Unsealed SealState = "unsealed" // written by hand: there is no seal
	Replaced SealState = "replaced" // whole, but another one than ebb wrote under this name
)

const sealPrefix = "# sha256: "

const sealLen = len(sealPrefix) + 2*sha256.Size + 1

// sealLine finds a seal in any line: one that isn't the last any more means that lines were added
// below it.
var sealLine = lazyregexp.New(`(?m)^` + sealPrefix + `[0-9a-f]{64}$`)

// Digest returns the SHA-256 of content in hexadecimal, as the journal and the seal have it.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Seal returns content with a last line that holds the SHA-256 of all lines above it, in place of
// the one that may be there. Content that doesn't end in a newline gets one.
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

// IntegritySince is [Integrity] for a file of which the journal says that ebb last wrote
// content of the SHA-256 flushed into it; "" if the journal says nothing. Anybody can seal a
// file, but not so that it has the digest of another, and what had a seal and has none was edited.
func IntegritySince(content []byte, flushed string) SealState {
	state := Integrity(content)
	switch {
	case state == Written && flushed != "" && flushed != Digest(content):
		return Replaced
	case state == Unsealed && flushed != "":
		return Edited // whatever took its seal away: it had one
	}
	return state
}

// cutSeal splits content before its last line if that is a seal.
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
