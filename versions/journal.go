package versions

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"
)

const journalName = "journal.jsonl"

// maxLine is one page: a shorter append is not mixed with those of other processes.
const maxLine = 4 << 10

// The events of the journal.
const (
	EventFlushed = "flushed"
	EventAttempt = "attempt"
	EventOutcome = "outcome"
	EventEdited  = "edited"
	EventMarked  = "marked"
	EventRemoved = "removed"
	EventCleanup = "cleanup"
)

// Entry is one line of the journal. Append fills in Time, User, Host and PID if they are zero. It
// shortens the longest fields if the line is longer than 4 KiB.
type Entry struct {
	Time         time.Time `json:"time"`
	Event        string    `json:"event"`
	RunUUID      string    `json:"run_uuid,omitempty"`
	ScenarioType string    `json:"scenario_type,omitempty"`
	Execution    string    `json:"execution,omitempty"`
	File         string    `json:"file,omitempty"`
	SHA256       string    `json:"sha256,omitempty"`
	Undoes       string    `json:"undoes,omitempty"`    // what a flushed file undoes, one ref a line
	Integrity    SealState `json:"integrity,omitempty"` // of the content that an attempt read
	Outcome      string    `json:"outcome,omitempty"`
	Message      string    `json:"message,omitempty"`
	User         string    `json:"user,omitempty"`
	Host         string    `json:"host,omitempty"`
	PID          int       `json:"pid,omitempty"`
}

// userName is looked up once: it can mean reading /etc/passwd.
var userName = sync.OnceValue(func() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
})

// completed fills in the time and the process.
func (e Entry) completed(now time.Time) Entry {
	us := self(now)
	if e.Time.IsZero() {
		e.Time = now
	}
	if e.User == "" {
		e.User = userName()
	}
	if e.Host == "" {
		e.Host = us.Host
	}
	if e.PID == 0 {
		e.PID = us.PID
	}
	return e
}

// line prints an entry, shortening its longest field until it fits.
func (e Entry) line() ([]byte, error) {
	fields := []*string{&e.Event, &e.RunUUID, &e.ScenarioType, &e.Execution, &e.File, &e.SHA256, &e.Undoes, &e.Outcome, &e.Message, &e.User, &e.Host}
	for {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(e); err != nil { // adds the newline
			return nil, err
		}
		if b.Len() <= maxLine {
			return b.Bytes(), nil
		}
		longest := fields[0]
		for _, field := range fields {
			if len(*field) > len(*longest) {
				longest = field
			}
		}
		*longest = shorten(*longest, len(*longest)*3/4)
	}
}

func (e Entry) matches(f Filter) bool {
	return (f.RunUUID == "" || f.RunUUID == e.RunUUID) && (f.ScenarioType == "" || f.ScenarioType == e.ScenarioType)
}

// Append implements Store. It returns once the line and every directory entry above it are on
// stable storage.
func (d *Dir) Append(ctx context.Context, e Entry) (err error) {
	defer exportChange(&err)
	line, err := newLine(ctx, e)
	if err != nil {
		return err
	}
	return d.lines.do(line, d.appendAll)
}

// newLine returns the line of an entry of now, or the error of ctx.
func newLine(ctx context.Context, e Entry) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return e.completed(time.Now()).line()
}

// appendAll appends several lines of this process, with one sync.
func (d *Dir) appendAll(lines [][]byte) (err error) {
	root, err := d.open(true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	// After a failed fsync, the page cache may show the end of a line that is not on the disk.
	if d.doubtful.Swap(false) {
		lines[0] = append([]byte{'\n'}, lines[0]...)
	}
	if err := root.AppendLines(journalName, lines...); err != nil {
		d.doubtful.Store(true)
		return err
	}
	// Sync its directory entry, too.
	if err := d.roots.sync(root); err != nil {
		d.doubtful.Store(true)
		return err
	}
	// Last: if the disk can't sync, it should still have the line.
	return d.settle(root)
}

// Journal implements Store.
func (d *Dir) Journal(ctx context.Context, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		file, err := d.openJournal()
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(Entry{}, export(err))
			return
		}
		more := true
		readJournal(ctx, file, func(e Entry, err error) bool {
			if err == nil && !e.matches(f) {
				return true
			}
			more = yield(e, err)
			return more
		})
		if err := file.Close(); err != nil && more {
			yield(Entry{}, err)
		}
	}
}

func (d *Dir) openJournal() (*os.File, error) {
	root, err := d.open(false)
	if err != nil {
		return nil, err
	}
	file, err := root.OpenFile(journalName)
	if closeErr := root.Close(); closeErr != nil {
		err = errors.Join(err, closeErr)
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return nil, err
	}
	return file, err
}

// readJournal yields the entries of a journal in the order of its lines.
func readJournal(ctx context.Context, r io.Reader, yield func(Entry, error) bool) {
	buffered := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		if err := ctx.Err(); err != nil {
			yield(Entry{}, err)
			return
		}
		line, err := buffered.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) { // no line that Append writes is so long
			_, err = buffered.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			yield(Entry{}, err)
			return
		}
		e, lineErr := Entry{}, error(nil)
		switch {
		case tooLong:
			lineErr = fmt.Errorf("is longer than %d bytes", maxLine)
		case len(bytes.TrimSpace(line)) > 0:
			e, lineErr = parseEntry(line)
		case err != nil:
			return
		default:
			continue
		}
		if lineErr != nil {
			e, lineErr = Entry{}, &JournalError{number, lineErr}
		}
		if !yield(e, lineErr) || err != nil {
			return
		}
	}
}

func parseEntry(line []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	if e.Event == "" {
		return e, errors.New("has no event")
	}
	return e, nil
}
