package cell

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const limit = 30 * time.Second

func room(t *testing.T) *Cell {
	t.Helper()
	c, err := Open(os.Stderr)
	var unsupported *UnsupportedError
	if errors.As(err, &unsupported) {
		t.Skipf("SKIPPED, NOTHING WAS TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func inner(t *testing.T, in *Cell, s Setup) *Cell {
	t.Helper()
	c, err := in.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a command, whose output it returns once it has ended.
func start(t *testing.T, c *Cell, args ...string) (p *Process, output func() string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	name := out.Name()
	errs, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err = c.Start(Command{Args: args, Env: []string{"PATH=/usr/bin"}}, null, out, errs)
	if err != nil {
		t.Fatal(err)
	}
	return p, func() string {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
}

func run(t *testing.T, c *Cell, args ...string) (string, int) {
	t.Helper()
	p, output := start(t, c, args...)
	code, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return output(), code
}

func awaitDone(t *testing.T, c *Cell) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(limit):
		t.Fatalf("still there after %v", limit)
	}
}

func TestVolumesStayInRoom(t *testing.T) {
	r := room(t)
	v := Volume{Path: "claims/a", Size: 1 << 20, Files: map[string][]byte{"x/file": []byte("content")}}
	for range 2 { // the second finds what is there
		if err := r.Volume(v); err != nil {
			t.Fatal(err)
		}
	}
	c := inner(t, r, Setup{PIDs: true, Root: &Root{Mounts: []Mount{{Volume: "claims/a", Target: "/data"}}}})
	if got, code := run(t, c, "sh", "-c", "cat /data/x/file; rm -r /data/x; ln -s / /data/x; ln -s ../../.. /data/y"); code != 0 || got != "content" {
		t.Errorf("got %q, code %d", got, code)
	}
	// Now a link stands where the next file goes.
	for _, name := range []string{"x/escaped", "y/escaped", "../escaped"} {
		err := r.Volume(Volume{Path: "claims/a", Files: map[string][]byte{name: nil}})
		if err == nil || !strings.Contains(err.Error(), "escapes") {
			t.Errorf("%s: got %v, want that it escapes", name, err)
		}
	}
	if err := r.Volume(Volume{Path: "../outside"}); err == nil {
		t.Error("a volume outside of the room was made")
	}
	if err := r.Remove("claims/a"); err != nil {
		t.Error(err)
	}
	if err := r.Remove("claims/a"); err != nil {
		t.Errorf("gone already: %v", err)
	}
	if err := c.Volume(v); err == nil {
		t.Error("a cell with a root of its own made a volume")
	}
}

func TestClosedCellTakesAllWithIt(t *testing.T) {
	r := room(t)
	node := inner(t, r, Setup{PIDs: true, Network: true, Hostname: "node", Proc: "procs/node"})
	// One pid namespace for all that is in the node.
	pod := inner(t, node, Setup{Processes: "procs/node"})
	first := inner(t, pod, Setup{Root: &Root{}})
	second := inner(t, node, Setup{Root: &Root{}})
	if got, code := run(t, first, "sh", "-c", "hostname; setsid sleep 54321 & sleep 54321 &"); code != 0 || got != "node\n" {
		t.Fatalf("got %q, code %d", got, code)
	}
	counts := func(want string) {
		t.Helper()
		for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
			got, _ := run(t, second, "pgrep", "-c", "-x", "sleep")
			if got == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	counts("2\n")
	p, _ := start(t, first, "sleep", "54321")
	if err := pod.Close(); err != nil {
		t.Fatal(err)
	}
	awaitDone(t, first)
	counts("0\n")
	if code, err := p.Wait(); err != nil || code != 137 {
		t.Errorf("got %d, %v, want 137", code, err)
	}
	if _, err := first.New(Setup{}); err == nil {
		t.Error("a cell was made in one that is gone")
	}
	// An init that is killed is noticed. It dies from outside: one that a command of its own
	// kills may be gone before it has said that the command began.
	p, _ = start(t, second, "sleep", "54321")
	if got, code := run(t, node, "kill", "-9", strconv.Itoa(second.PID())); code != 0 {
		t.Fatalf("kill: got %q, code %d", got, code)
	}
	if code, err := p.Wait(); err != nil || code != 137 {
		t.Errorf("got %d, %v, want 137", code, err)
	}
	awaitDone(t, second)
}

func TestStartErrors(t *testing.T) {
	c := inner(t, room(t), Setup{PIDs: true, Root: &Root{Capabilities: []int{}}})
	for _, test := range []struct {
		args []string
		code int
	}{
		{nil, 126}, {[]string{""}, 126}, {[]string{"gcc"}, 127}, {[]string{"/no/such"}, 127}, {[]string{"/etc"}, 126}, {[]string{"/etc/passwd"}, 126},
	} {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		again, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		third, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Start(Command{Args: test.args, Env: []string{"PATH=/usr/bin"}}, null, again, third)
		var start *StartError
		if !errors.As(err, &start) || start.Code != test.code {
			t.Errorf("%q: got %v, want code %d", test.args, err, test.code)
		}
	}
}

func TestKillReachesGroup(t *testing.T) {
	c := inner(t, room(t), Setup{PIDs: true, Root: &Root{}})
	p, output := start(t, c, "sh", "-c", "sleep 54321 & echo begun; sleep 54321")
	for end := time.Now().Add(limit); output() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it has not begun")
		}
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(); err != nil || code != 128+int(syscall.SIGKILL) {
		t.Errorf("got %d, %v", code, err)
	}
	if got, _ := run(t, c, "pgrep", "-c", "sleep"); got != "0\n" {
		t.Errorf("%s of its group are left", got)
	}
}

func FuzzChildrenOf(f *testing.F) {
	f.Add("sleep", 7)
	f.Add(") S 7 (", 7)
	f.Add("a b\n) R 1", 2)
	f.Fuzz(func(t *testing.T, name string, parent int) {
		if len(name) > 15 || parent < 0 {
			return // the kernel's own limits
		}
		proc := t.TempDir()
		stat := fmt.Appendf(nil, "42 (%s) S %d 42 42 0 -1\n", name, parent)
		if err := os.Mkdir(filepath.Join(proc, "42"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, "42", "stat"), stat, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := childrenOf(proc, parent); err != nil || len(got) != 1 || got[0] != 42 {
			t.Errorf("got %v, %v, want 42", got, err)
		}
		if got, err := childrenOf(proc, parent+1); err != nil || len(got) != 0 {
			t.Errorf("got %v, %v, want none", got, err)
		}
	})
}
