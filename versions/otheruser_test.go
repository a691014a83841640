package versions_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

// otherUser is another user's process that holds a lock.
type otherUser struct {
	in  io.WriteCloser
	cmd *exec.Cmd
}

// newOtherUser has another user lock a path, as flock(1) would.
func newOtherUser(t *testing.T, how string, path string) *otherUser {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NEEDS ROOT: only root can be another user")
	}
	cmd := childOf(t, &syscall.Credential{Uid: 65534, Gid: 65534}, "lock", how, path)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("got %q, %v, want a process of another user with a lock", line, err)
	}
	s := &otherUser{in, cmd}
	t.Cleanup(func() { s.end(t) })
	return s
}

// childOf is child as another user.
func childOf(t *testing.T, user *syscall.Credential, role string, args ...string) *exec.Cmd {
	t.Helper()
	// The test binary may stand where nobody else may look.
	exe, err := os.Executable()
	must(t, err)
	copied := filepath.Join(publicDir(t), "child")
	// Another process writes it: a child that this one starts at the same time would hold a descriptor
	// that can write, for a moment, and what can be written can't be run.
	if out, err := exec.Command("cp", exe, copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	must(t, os.Chmod(copied, 0o755))
	cmd := exec.Command(copied, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	return cmd
}

// publicDir is a directory of ours that everybody may look into.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ebb-public-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// end releases the lock.
func (s *otherUser) end(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState == nil {
		must(t, s.in.Close())
		must(t, s.cmd.Wait())
	}
}

// holdLock is the part of the other user's process. How is "shared", "exclusive", or "flapping": again and again.
func holdLock(how, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	kind := syscall.LOCK_EX
	if how == "shared" {
		kind = syscall.LOCK_SH
	}
	if err := syscall.Flock(int(f.Fd()), kind|syscall.LOCK_NB); err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString("locked\n"); err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		over <- err
	}()
	for how == "flapping" {
		select {
		case err := <-over:
			return err
		default:
		}
		for _, what := range []int{syscall.LOCK_UN, syscall.LOCK_EX} {
			if err := syscall.Flock(int(f.Fd()), what|syscall.LOCK_NB); err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
				return err
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	return <-over
}

// openToOthers is a store as a backup restored it: everybody may read it.
func openToOthers(t *testing.T) (*versions.Dir, versions.File) {
	t.Helper()
	if _, err := os.Stat("/proc/locks"); err != nil {
		t.Skip("NEEDS /proc/locks: who holds a lock can't be told without it")
	}
	d, err := versions.NewDir(filepath.Join(publicDir(t), "versions"))
	must(t, err)
	e, err := d.Begin(t.Context(), "run")
	must(t, err)
	f, err := e.Flush(t.Context(), "pod", []byte("content"))
	must(t, err)
	must(t, e.Close())
	must(t, os.Chmod(d.Location(), 0o755))
	must(t, os.Chmod(filepath.Dir(f.Location), 0o755))
	return d, f
}

// Any user may lock a directory that he may read, for as long as he likes. That keeps nobody of us
// out, and two of us keep each other out all the same.
func TestOtherUserHoldsTheDirectory(t *testing.T) {
	for _, how := range []string{"exclusive", "shared"} {
		t.Run(how, func(t *testing.T) {
			d, f := openToOthers(t)
			versions.NoteAtOnce(d)
			s := newOtherUser(t, how, filepath.Dir(f.Location))
			if err := d.Busy(t.Context(), f.Execution); err != nil {
				t.Errorf("busy: got %v, want that nobody of us has it", err)
			}
			first, err := d.Open(t.Context(), f.Execution)
			must(t, err)
			locked := func(when string) {
				t.Helper()
				_, opened := d.Open(t.Context(), f.Execution)
				for name, err := range map[string]error{"Open": opened, "Busy": d.Busy(t.Context(), f.Execution)} {
					var locked *versions.LockedError
					if !errors.As(err, &locked) || locked.Holder.PID != os.Getpid() {
						t.Errorf("%s %s: got %v, want a *LockedError that names us", name, when, err)
					}
				}
			}
			locked("beside another user's lock")
			s.end(t)
			locked("when the directory's own lock is free")
			must(t, first.Close())
			must(t, d.Busy(t.Context(), f.Execution))
			again, err := d.Open(t.Context(), f.Execution)
			must(t, err)
			_, err = again.MarkExecuted(t.Context(), f)
			must(t, err)
			must(t, again.Close())
			entries, err := os.ReadDir(filepath.Dir(f.Location))
			must(t, err)
			if len(entries) != 1 {
				t.Errorf("got %v, want only the version file left", entries)
			}
		})
	}
}

// A lock of our own user is believed, whoever it is, since an older ebb locks the directory and
// nothing else.
func TestOlderHolder(t *testing.T) {
	d, f := stored(t)
	dir, err := os.Open(filepath.Dir(f.Location))
	must(t, err)
	must(t, syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	var locked *versions.LockedError
	if _, err := d.Open(t.Context(), f.Execution); !errors.As(err, &locked) || locked.Holder.PID != 0 {
		t.Errorf("got %v, want a *LockedError that names nobody: there is no note", err)
	}
	if err := d.Busy(t.Context(), f.Execution); !errors.As(err, &locked) {
		t.Errorf("busy: got %v, want a *LockedError", err)
	}
	must(t, dir.Close())
	e, err := d.Open(t.Context(), f.Execution)
	must(t, err)
	must(t, e.Close())
}

// An older ebb's note says who died, not who has the lock.
func TestDeadHolderIsNotNamed(t *testing.T) {
	d, f := stored(t)
	e, err := d.Open(t.Context(), f.Execution)
	must(t, err)
	dead := exec.Command("true")
	must(t, dead.Run())
	host, err := os.Hostname()
	must(t, err)
	note := `{"host":"` + host + `","pid":` + strconv.Itoa(dead.Process.Pid) + `,"command":"ebb run"}`
	must(t, os.WriteFile(filepath.Join(filepath.Dir(f.Location), ".lock"), []byte(note), 0o600))
	var locked *versions.LockedError
	if err := d.Busy(t.Context(), f.Execution); !errors.As(err, &locked) || locked.Holder.PID != 0 {
		t.Errorf("got %v, want a *LockedError that names nobody", err)
	}
	must(t, e.Close())
}

// If another user holds both locks, nothing is guessed, and the remedy puts a directory in its place
// that he does not have.
func TestOtherUserHoldsBoth(t *testing.T) {
	d, f := openToOthers(t)
	lock := filepath.Join(filepath.Dir(f.Location), ".flock")
	must(t, os.WriteFile(lock, nil, 0o644))
	must(t, os.Chmod(lock, 0o644))
	newOtherUser(t, "exclusive", filepath.Dir(f.Location))
	newOtherUser(t, "shared", lock)
	_, err := d.Open(t.Context(), f.Execution)
	var insecure *versions.InsecureError
	if !errors.As(err, &insecure) || !strings.Contains(insecure.Problem, "is locked by another user's process") {
		t.Fatalf("got %v, want an *InsecureError", err)
	}
	remedy(t, insecure.Remedy)
	e, err := d.Open(t.Context(), f.Execution)
	must(t, err)
	content, err := e.Read(t.Context(), f)
	if err != nil || string(content) != "content" {
		t.Errorf("got %q, %v, want the file", content, err)
	}
	must(t, e.Close())
}

// Of many that try while another user takes and releases the lock, no two have an execution at once.
func TestOtherUserComesAndGoes(t *testing.T) {
	d, f := openToOthers(t)
	newOtherUser(t, "flapping", filepath.Dir(f.Location))
	var holding, opened atomic.Int32
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				e, err := d.Open(t.Context(), f.Execution)
				if errors.As(err, new(*versions.LockedError)) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holding.Add(1); n != 1 {
					t.Errorf("got %d holders at once, want 1", n)
				}
				opened.Add(1)
				holding.Add(-1)
				if err := e.Close(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	t.Logf("figures: %d opened beside another user's lock", opened.Load())
	if opened.Load() == 0 {
		t.Error("nobody ever had it")
	}
}
