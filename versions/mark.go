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

// Mark notes a changing request that is under way. Without verb and kind, it may be any request.
// After Until, by the clock of the sender, the request can't arrive any more. The wall clock may
// have been set since: [Mark.Left] returns the time that is left.
type Mark struct {
	Verb      string    `json:"verb"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	At        time.Time `json:"at"` // MarkInFlight fills it in if it is zero
	Until     time.Time `json:"until"`

	// MarkInFlight fills in the rest, from clocks that nobody can set.
	Life   time.Duration `json:"life,omitempty"`   // from At to Until
	Host   string        `json:"host,omitempty"`   // where At was read
	Boot   string        `json:"boot,omitempty"`   // the boot of that machine; "" if the system does not report it
	Uptime time.Duration `json:"uptime,omitempty"` // CLOCK_BOOTTIME at At; it also counts while the machine sleeps
}

// Left returns how long the request of a mark may still arrive. It is 0 if it can't arrive any
// more, and never more than the time from At to Until, however the clocks were set.
//
// On the boot on which the mark was made, Left uses the clock of the kernel, and the wall clock
// does not matter. If that machine was booted since, the request can't arrive any more. If this
// machine was up before the mark was made, it is another machine of the same name, which pods can
// have. For a mark of another machine, or one without a boot, Left uses the wall clock.
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

// life is how long the request could take to arrive when it was sent.
func (m Mark) life() time.Duration {
	if m.Life > 0 {
		return m.Life
	}
	return max(m.Until.Sub(m.At), 0)
}

// completed returns the mark as it is stored.
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

// boot is the time from one boot of one machine to the next.
type boot struct {
	host   string
	id     string // "" if the system does not report it
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
	found int64 // the newest one that was there at the start
}

// seen makes sure that the number of a mark of a dead process is not used again.
func (m *marks) seen(name string) {
	if n, ok := markNumber(name); ok && n > m.last.Load() {
		m.last.Store(n)
		m.found = n
	}
}

// MarkInFlight implements Execution. It does not sync: the mark has to survive the death of this
// process, and the page cache does. After a power loss, the boot takes longer than any request.
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
// died. Its request was not sent, because that comes after the mark.
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
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // removed meanwhile
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

// isOver reports whether the request of a mark can't arrive any more. A mark that was there when
// the execution was opened is of an earlier request, whatever the clocks say.
func (e *dirExecution) isOver(name string, now time.Time) bool {
	m, ok, err := readMark(e.dir, name)
	if err != nil || !ok {
		return err == nil
	}
	number, _ := markNumber(name)
	return m.Left(now) == 0 || number <= e.marks.found && now.Sub(e.opened) >= m.life()
}
