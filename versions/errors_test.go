package versions

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

// What leaves the package has the package's types, and the whole chain behind them.
func TestErrorsKeepTheirChain(t *testing.T) {
	d := testDir(t)
	e, err := d.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	f, err := e.Flush(t.Context(), "pod", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Location, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = e.Read(t.Context(), f)
	var insecure *InsecureError
	if !errors.As(err, &insecure) || insecure.Path != f.Location || insecure.Problem == "" || len(insecure.Hints()) != 1 {
		t.Errorf("got %#v, want an *InsecureError about %q with a hint", err, f.Location)
	}
	if !errors.As(err, new(*durable.InsecureError)) || err.Error() != insecure.Error() {
		t.Errorf("got %v, want the error of the package below with its text", err)
	}
	if again := export(err); again != err {
		t.Errorf("got %v, want an error that left the package already as it is", again)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// A store that takes no change says so by the kind of its error, whatever is to be changed, and by
// which refusal of the kernel.
func TestReadOnly(t *testing.T) {
	for _, refusal := range []syscall.Errno{syscall.EROFS, syscall.EACCES, syscall.EPERM} {
		t.Run(refusal.Error(), func(t *testing.T) {
			d := testDir(t)
			sys := errorfs.New(durable.OS{})
			d.system = sys
			e, err := d.Begin(t.Context(), "run")
			if err != nil {
				t.Fatal(err)
			}
			f, err := e.Flush(t.Context(), "pod", []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			unmark, err := e.MarkInFlight(Mark{})
			if err != nil {
				t.Fatal(err)
			}
			sys.Inject(func(int, string) error { return refusal })
			for name, change := range map[string]func() error{
				"Begin":        func() error { _, err := d.Begin(t.Context(), "run"); return err },
				"Append":       func() error { return d.Append(t.Context(), Entry{Event: EventFlushed}) },
				"Flush":        func() error { _, err := e.Flush(t.Context(), "pod", []byte("x")); return err },
				"Probe":        func() error { return e.Probe(t.Context()) },
				"Replace":      func() error { _, err := e.Replace(t.Context(), f, []byte("y")); return err },
				"MarkExecuted": func() error { _, err := e.MarkExecuted(t.Context(), f); return err },
				"Remove":       func() error { return e.Remove(t.Context(), f) },
				"MarkInFlight": func() error { _, err := e.MarkInFlight(Mark{}); return err },
				"unmark":       unmark,
			} {
				if err := change(); !errors.Is(err, ErrReadOnly) || !errors.Is(err, refusal) {
					t.Errorf("%s: got %v, want ErrReadOnly and %v", name, err, refusal)
				}
			}
			sys.Inject(nil)
			if got, err := e.Files(t.Context()); err != nil || len(got) != 1 || got[0].State != Pending {
				t.Errorf("got %+v, %v, want the file pending", got, err)
			}
			if _, err := e.MarkExecuted(t.Context(), f); err != nil {
				t.Errorf("when it can be written again: %v", err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if err := export(fs.ErrNotExist); errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v, want no ErrReadOnly", err)
	}
}

// Who has an execution, and how to make it end: what can be known of it.
func TestLockedErrorHints(t *testing.T) {
	us := self(time.Now())
	for _, test := range []struct {
		holder Holder
		want   string
	}{
		{us, "kill -INT "},
		{Holder{Host: us.Host + "-other", PID: 7, Command: "ebb run"}, `on host "` + us.Host + `-other"`},
		{Holder{}, "fuser -v /v/1-run"},
	} {
		e := &LockedError{Execution: "1-run", Location: "/v/1-run", Holder: test.holder}
		got := strings.Join(e.Hints(), "\n")
		if !strings.Contains(got, test.want) {
			t.Errorf("%+v: got %q, want %q in it", test.holder, got, test.want)
		}
	}
}
