package versions

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/internal/durable"
)

const (
	holderName = ".lock" // who it is; the lock itself is the kernel's
	markPrefix = ".inflight-"
)

// maxNote bounds the bookkeeping files, which are a line of JSON each.
const maxNote = 16 << 10

// isBookkeeping reports whether an entry is there for this package's own use.
func isBookkeeping(name string) bool {
	return name == holderName || name == durable.LockFile || durable.IsTemp(name) || isMark(name)
}

func isMark(name string) bool {
	_, ok := markNumber(name)
	return ok
}

func markNumber(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, markPrefix)
	if !ok {
		return 0, false
	}
	return parseTimestamp(digits)
}

// actsFor is what ActFor was given.
var actsFor atomic.Int64

// ActFor has this process' notes of what it holds, and its journal, name another one: that which a user started and
// can send a signal to. Call it before anything else.
func ActFor(pid int) { actsFor.Store(int64(pid)) }

// self describes this process.
func self(now time.Time) Holder {
	// A host without a name is rare and only makes the message poorer.
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Holder{Host: host, PID: cmp.Or(int(actsFor.Load()), os.Getpid()), Since: now, Command: command(os.Args)}
}

// command is the program and what it was told to do. What else is on a command line need not be in a file.
func command(args []string) string {
	words := []string{filepath.Base(args[0])}
	if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
		words = append(words, args[1])
	}
	return shorten(strings.Join(words, " "), 200)
}

func writeHolder(dir *durable.Dir) error {
	line, err := json.Marshal(self(time.Now()))
	if err != nil {
		return err
	}
	return dir.Create(holderName, append(line, '\n'))
}

// readHolder returns what can be known of a holder: it may not have written its note yet, or not all of it.
func readHolder(dir *durable.Dir) Holder {
	var h Holder
	content, err := dir.ReadFile(holderName, maxNote)
	if err != nil || json.Unmarshal(content, &h) != nil {
		return Holder{}
	}
	return h
}

// liveHolder is readHolder for a lock that is held now. The note of one who died is not the holder's, who may not have written his own yet.
func liveHolder(dir *durable.Dir) Holder {
	h := readHolder(dir)
	if h.Local() && errors.Is(unix.Kill(h.PID, 0), unix.ESRCH) {
		return Holder{}
	}
	return h
}

// marks numbers the marks of an execution.
type marks struct{ last atomic.Int64 }

// seen makes sure that the number of a mark that a dead process left isn't used again.
func (m *marks) seen(name string) {
	if n, ok := markNumber(name); ok && n > m.last.Load() {
		m.last.Store(n)
	}
}

// MarkInFlight implements Execution. No fsync: the mark has to survive the death of this process, and for that the page cache
// is enough. After a power loss the machine needs longer to come back than any request lives.
func (e *dirExecution) MarkInFlight(m Mark) (_ func() error, err error) {
	defer exportChange(&err)
	leave, err := e.enter(context.Background())
	if err != nil {
		return nil, err
	}
	defer leave()
	line, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(line) > maxNote {
		return nil, fmt.Errorf("mark of %s %q: got %d bytes, want at most %d", m.Kind, shorten(m.Name, 64), len(line), maxNote)
	}
	name := markPrefix + strconv.FormatInt(e.marks.last.Add(1), 10)
	if err := e.dir.Create(name, line); err != nil {
		return nil, err
	}
	return func() (err error) {
		defer exportChange(&err)
		leave, err := e.enter(context.Background())
		if err != nil {
			return err
		}
		defer leave()
		return e.dir.Unlink(name)
	}, nil
}

// InFlight implements Execution. A mark that can't be parsed was being written when its process died, and a request is only sent after that.
func (e *dirExecution) InFlight(ctx context.Context) (_ []Mark, err error) {
	defer exportTo(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	names, err := e.dir.Names()
	if err != nil {
		return nil, err
	}
	found := []Mark{}
	for _, name := range names {
		if !isMark(name) {
			continue
		}
		m, ok, err := readMark(e.dir, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // unmarked meanwhile
			return nil, err
		}
		if ok {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b Mark) int { return a.At.Compare(b.At) })
	return found, nil
}

func readMark(dir *durable.Dir, name string) (m Mark, ok bool, err error) {
	content, err := dir.ReadFile(name, maxNote)
	if err != nil {
		return m, false, err
	}
	return m, json.Unmarshal(content, &m) == nil, nil
}

// expired reports whether the request of a mark can't land any more.
func expired(dir *durable.Dir, name string, now time.Time) bool {
	m, ok, err := readMark(dir, name)
	return err == nil && (!ok || now.After(m.Until))
}

// shorten cuts a text to at most limit bytes, at a character, and says so with an ellipsis.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	cut := max(limit-len(ellipsis), 0)
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + ellipsis
}
