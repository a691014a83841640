package versions

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	starSuffix     = ".star"
	foreignSuffix  = ".py"
	executedSuffix = ".executed"
	importedSuffix = ".imported"
)

// maxTimestamp is in the year 2116. It leaves room for adding one to a parsed timestamp, and all
// timestamps since 2001 have the same length.
const maxTimestamp = 1 << 62

// Lengths of the parts of a name. A run's UUID has to be a label value of Kubernetes, because all
// objects that a run creates carry it. The scenario type has to leave room for the rest: a file
// name has 255 bytes.
const (
	maxRunUUID      = 63
	maxScenarioType = 128
	suffixLen       = 8
)

// isRunUUID reports whether s is 1 to 63 letters, digits, '-', '_' and '.', with a letter or digit
// at both ends. It is a loop and no regular expression: a listing calls it a hundred thousand
// times.
func isRunUUID(s string) bool {
	return len(s) > 0 && len(s) <= maxRunUUID && isAlphanumeric(s[0]) && isAlphanumeric(s[len(s)-1]) &&
		all(s, func(c byte) bool { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.' })
}

func isScenarioType(s string) bool {
	return len(s) > 0 && len(s) <= maxScenarioType && isAlphanumeric(s[0]) &&
		all(s, func(c byte) bool { return isAlphanumeric(c) || c == '-' || c == '_' })
}

func isSuffix(s string) bool {
	return len(s) == suffixLen && all(s, func(c byte) bool { return 'a' <= c && c <= 'z' })
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func all(s string, holds func(byte) bool) bool {
	for i := range len(s) {
		if !holds(s[i]) {
			return false
		}
	}
	return true
}

// CheckRunUUID returns an error unless runUUID is valid: 1 to 63 letters, digits, '-', '_' and '.',
// with a letter or digit at both ends. Objects that a run creates carry it as a label.
func CheckRunUUID(runUUID string) error {
	if !isRunUUID(runUUID) {
		return fmt.Errorf("run uuid: got %q, want 1 to 63 letters, digits, '-', '_' or '.', a letter or digit at both ends", runUUID)
	}
	return nil
}

// executionID prints `<timestamp ns>-<run uuid>`.
func executionID(timestamp int64, runUUID string) (string, error) {
	if err := checkTimestamp(timestamp); err != nil {
		return "", err
	}
	if err := CheckRunUUID(runUUID); err != nil {
		return "", err
	}
	return strconv.FormatInt(timestamp, 10) + "-" + runUUID, nil
}

// parseExecutionID is the reverse of executionID. It splits at the first dash, since a run's UUID
// may have dashes.
func parseExecutionID(id string) (timestamp int64, runUUID string, err error) {
	digits, runUUID, _ := strings.Cut(id, "-")
	timestamp, ok := parseTimestamp(digits)
	if !ok || !isRunUUID(runUUID) {
		return 0, "", fmt.Errorf("execution: got %q, want <timestamp ns>-<run uuid>", id)
	}
	return timestamp, runUUID, nil
}

// IsExecutionID reports whether a directory of this name is that of an execution.
func IsExecutionID(name string) bool {
	_, _, err := parseExecutionID(name)
	return err == nil
}

// fileName is a version file's name in its parts.
type fileName struct {
	scenarioType string
	timestamp    int64
	suffix       string
	kind         Kind
	state        State
}

// checkContent returns an error unless the file is of a kind, and the content is one that it can have.
func (n fileName) checkContent(want Kind, content []byte) error {
	if err := n.checkKind(want); err != nil {
		return err
	}
	return checkContent(content)
}

// checkKind returns an error unless the file is of a kind.
func (n fileName) checkKind(want Kind) error {
	if n.kind == want {
		return nil
	}
	whose := map[Kind]string{KindVersion: "ours", KindForeign: "Krkn's"}
	return fmt.Errorf("version file %q: got one of %s, want one of %s", n, whose[n.kind], whose[want])
}

// String prints `<scenario type>_<timestamp ns>_<8 random letters>.star[.executed]`, or .py for
// Krkn's, which may be .imported, too.
func (n fileName) String() string {
	ext := starSuffix
	if n.kind == KindForeign {
		ext = foreignSuffix
	}
	switch n.state {
	case Executed:
		ext += executedSuffix
	case Imported:
		ext += importedSuffix
	}
	return n.scenarioType + "_" + strconv.FormatInt(n.timestamp, 10) + "_" + n.suffix + ext
}

// newFileName checks the parts and adds random letters.
func newFileName(scenarioType string, timestamp int64) (fileName, error) {
	if err := checkTimestamp(timestamp); err != nil {
		return fileName{}, err
	}
	if !isScenarioType(scenarioType) {
		return fileName{}, fmt.Errorf("scenario type: got %q, want 1 to 128 letters, digits, '-' or '_', a letter or digit first", scenarioType)
	}
	suffix := make([]byte, suffixLen)
	for i := range suffix {
		suffix[i] = byte('a' + rand.IntN(26))
	}
	return fileName{scenarioType, timestamp, string(suffix), KindVersion, Pending}, nil
}

// parseFileName is the reverse of String. It reads from the right, because scenario types may have
// underscores and digits.
func parseFileName(name string) (fileName, error) {
	n := fileName{kind: KindVersion, state: Pending}
	stem, executed := strings.CutSuffix(name, executedSuffix)
	if executed {
		n.state = Executed
	}
	imported := false
	if !executed {
		if stem, imported = strings.CutSuffix(name, importedSuffix); imported {
			n.state = Imported
		}
	}
	stem, ours := strings.CutSuffix(stem, starSuffix)
	if ours && imported {
		return fileName{}, badFileName(name)
	}
	if !ours {
		var theirs bool
		if stem, theirs = strings.CutSuffix(stem, foreignSuffix); !theirs {
			return fileName{}, badFileName(name)
		}
		n.kind = KindForeign
	}
	var digits string
	var ok1, ok2, ok3 bool
	stem, n.suffix, ok1 = cutLast(stem, '_')
	n.scenarioType, digits, ok2 = cutLast(stem, '_')
	n.timestamp, ok3 = parseTimestamp(digits)
	if !ok1 || !ok2 || !ok3 || !isSuffix(n.suffix) || !isScenarioType(n.scenarioType) {
		return fileName{}, badFileName(name)
	}
	return n, nil
}

func badFileName(name string) error {
	return fmt.Errorf("version file: got %q, want <scenario type>_<timestamp ns>_<8 letters a-z>.star[.executed]", name)
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// parseTimestamp accepts what FormatInt prints and nothing else: no sign, no leading zero.
func parseTimestamp(digits string) (int64, bool) {
	if digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	timestamp, err := strconv.ParseInt(digits, 10, 64)
	return timestamp, err == nil && timestamp < maxTimestamp
}

func checkTimestamp(timestamp int64) error {
	if timestamp < 1 || timestamp >= maxTimestamp {
		return fmt.Errorf("timestamp: got %d, want 1 to %d: is the clock right, or is there an entry from the far future?", timestamp, int64(maxTimestamp)-1)
	}
	return nil
}

// stamps returns timestamps of this process. All stores share it; only the order matters.
var stamps clock

type clock struct{ last atomic.Int64 }

// after returns a timestamp that is greater than floor and than all earlier ones. It is the present
// time, unless the clock is behind.
func (c *clock) after(floor int64, now time.Time) int64 {
	for {
		last := c.last.Load()
		next := max(now.UnixNano(), last+1, min(floor, math.MaxInt64-1)+1)
		if c.last.CompareAndSwap(last, next) {
			return next
		}
	}
}
