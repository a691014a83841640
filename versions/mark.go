package versions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Mark is a mutating request under way; without verb and kind, it may be any. After Until, as its sender computed it, the request can't
// land any more. Ask [Mark.Left] how long that is from now: the wall clock may have been set since.
type Mark struct {
	Verb      string    `json:"verb"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	At        time.Time `json:"at"` // MarkInFlight fills it in where it is zero
	Until     time.Time `json:"until"`

	// MarkInFlight fills in the rest, from clocks that nobody sets.
	Life   time.Duration `json:"life,omitempty"`   // from At to Until
	Host   string        `json:"host,omitempty"`   // where At was read
	Boot   string        `json:"boot,omitempty"`   // which boot of the machine that was; "" where the system has no such thing
	Uptime time.Duration `json:"uptime,omitempty"` // CLOCK_BOOTTIME at At: it counts on while the machine sleeps
}

// Left is how long a mark's request may still land: 0 if it can't any more, and never longer than
// from At to Until, wherever the clocks went.
//
// On the boot that the mark was made on, the time since then is the kernel's, and the wall clock
// does not matter. The machine that made it and was booted since has no request under way any more:
// one that was up before is another machine of that name, as a pod may get. Of another machine's
// mark, and of one that names no boot, only the wall clock tells.
func (m Mark) Left(now time.Time) time.Duration { return m.left(thisBoot(), now) }

func (m Mark) left(current boot, now time.Time) time.Duration {
	left := m.Until.Sub(now)
	if m.Boot != "" && current.id != "" {
		switch {
		case m.Boot == current.id:
			left = m.life() - (current.uptime - m.Uptime)
		case m.Host == current.host && current.uptime < now.Sub(m.At):
			return 0
		}
	}
	return max(min(left, m.life()), 0)
}

// life is how long the request could land when it was sent.
func (m Mark) life() time.Duration {
	if m.Life > 0 {
		return m.Life
	}
	return max(m.Until.Sub(m.At), 0)
}

// completed is the mark as it is kept.
func (m Mark) completed(current boot, now time.Time) Mark {
	if m.At.IsZero() {
		m.At = now
	}
	m.Life = m.life()
	m.Host, m.Boot = current.host, current.id
	if current.id != "" {
		m.Uptime = current.uptime - now.Sub(m.At)
	}
	return m
}

// boot is one uptime of one machine.
type boot struct {
	host   string
	id     string // "" if the system does not tell
	uptime time.Duration
}

const markPrefix = ".inflight-"

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

// marks numbers the marks of an execution.
type marks struct {
	last  atomic.Int64
	found int64 // the newest one that was there before us
}

// seen makes sure that the number of a mark that a dead process left isn't used again.
func (m *marks) seen(name string) {
	if n, ok := markNumber(name); ok && n > m.last.Load() {
		m.last.Store(n)
		m.found = n
	}
}

// MarkInFlight implements Execution. No fsync: the mark has to survive the death of this process,
// and for that the page cache is enough. After a power loss the machine needs longer to come back
// than any request lives.
func (e *dirExecution) MarkInFlight(m Mark) (_ func() error, err error) {
	defer exportChange(&err)
	leave, err := e.enter(context.Background())
	if err != nil {
		return nil, err
	}
	defer leave()
	line, err := json.Marshal(m.completed(thisBoot(), time.Now()))
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

// InFlight implements Execution. A mark that can't be parsed was being written when its process
// died, and a request is only sent after that.
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

// isOver reports whether the request of a mark can't land any more. A mark that was here when the
// execution was opened is of a request that was sent before that, whatever the clocks say.
func (e *dirExecution) isOver(name string, now time.Time) bool {
	m, ok, err := readMark(e.dir, name)
	if err != nil || !ok {
		return err == nil
	}
	number, _ := markNumber(name)
	return m.Left(now) == 0 || number <= e.marks.found && now.Sub(e.opened) >= m.life()
}
