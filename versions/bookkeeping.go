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

// holderName is the file that says who holds the execution. The lock itself is the kernel's.
const holderName = ".lock"

// maxNote bounds the bookkeeping files. Each is one line of JSON.
const maxNote = 16 << 10

// originalPrefix is the prefix of the file that keeps the first content of a file that Replace
// changed.
const originalPrefix = ".original-"

// originalName is the same before and after the file is executed.
func originalName(f File) string { return originalPrefix + strings.TrimSuffix(f.Name, executedSuffix) }

// isBookkeeping reports whether an entry is a bookkeeping file of this package.
func isBookkeeping(name string) bool {
	return name == holderName || name == durable.LockFile || durable.IsTemp(name) || isMark(name) || strings.HasPrefix(name, originalPrefix)
}

// actsFor is what ActFor was given.
var actsFor atomic.Int64

// ActFor sets the process that this process writes into its lock notes and its journal lines: the
// one that a user started and can send a signal to. Call it before anything else.
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

// command is the program and its command. The rest of a command line may be confidential.
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

// readHolder returns what is known of a holder. The note may be missing, or cut off.
func readHolder(dir *durable.Dir) Holder {
	var h Holder
	content, err := dir.ReadFile(holderName, maxNote)
	if err != nil || json.Unmarshal(content, &h) != nil {
		return Holder{}
	}
	return h
}

// liveHolder is readHolder for a lock that is held now. A note of a dead process is not the note of
// the holder, who may not have written one yet.
func liveHolder(dir *durable.Dir) Holder {
	h := readHolder(dir)
	if h.Local() && errors.Is(unix.Kill(h.PID, 0), unix.ESRCH) {
		return Holder{}
	}
	return h
}

// shorten cuts a text to at most limit bytes, between two characters, and ends it with an ellipsis.
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
