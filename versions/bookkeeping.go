package versions

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// holderName is the note of who has the execution; the lock itself is the kernel's.
const holderName = ".lock"

// maxNote bounds the bookkeeping files, which are a line of JSON each.
const maxNote = 16 << 10

// originalPrefix begins the name of what Flush wrote into a file that Replace changed.
const originalPrefix = ".original-"

// originalName is the same before and after the file is executed.
func originalName(f File) string { return originalPrefix + strings.TrimSuffix(f.Name, executedSuffix) }

// isBookkeeping reports whether an entry is there for this package's own use.
func isBookkeeping(name string) bool {
	return name == holderName || name == durable.LockFile || durable.IsTemp(name) || isMark(name) || strings.HasPrefix(name, originalPrefix)
}

// actsFor is what ActFor was given.
var actsFor atomic.Int64

// ActFor has this process' notes of what it holds, and its journal, name another one: that which a
// user started and can send a signal to. Call it before anything else.
func ActFor(pid int) { actsFor.Store(int64(pid)) }

// self describes this process.
func self(now time.Time) Holder {
	return Holder{Host: hostName(), PID: cmp.Or(int(actsFor.Load()), os.Getpid()), Since: now, Command: command(os.Args)}
}

// hostName is for messages. A host without a name is rare and only makes them poorer.
var hostName = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
})

// command is the program and what it was told to do. What else is on a command line need not be in
// a file.
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

// readHolder returns what can be known of a holder: it may not have written its note yet, or not
// all of it.
func readHolder(dir *durable.Dir) Holder {
	var h Holder
	content, err := dir.ReadFile(holderName, maxNote)
	if err != nil || json.Unmarshal(content, &h) != nil {
		return Holder{}
	}
	return h
}

// liveHolder is readHolder for a lock that is held now. The note of one who died is not the
// holder's, who may not have written his own yet.
func liveHolder(dir *durable.Dir) Holder {
	h := readHolder(dir)
	if h.Local() && errors.Is(unix.Kill(h.PID, 0), unix.ESRCH) {
		return Holder{}
	}
	return h
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
