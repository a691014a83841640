package versions_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

// The test binary runs itself as the process that is killed.
const childEnv = "EBB_VERSIONS_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "flush":
		if err := flushForever(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "lock":
		if err := holdLock(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "pod":
		if err := podProcess(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "wait":
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			os.Exit(1)
		}
	}
}

// flushForever prints the name of each file once it was flushed.
func flushForever(dir string) error {
	ctx := context.Background()
	d, err := versions.NewDir(dir)
	if err != nil {
		return err
	}
	e, err := d.Begin(ctx, "killed")
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if _, err := e.MarkInFlight(versions.Mark{Verb: "create", Name: fmt.Sprint(i), Until: time.Now().Add(time.Hour)}); err != nil {
			return err
		}
		content := versions.Seal([]byte(strings.Repeat(fmt.Sprintf("# %d\n", i), 2000)))
		f, err := e.Flush(ctx, "pod", content)
		if err != nil {
			return err
		}
		if _, err := fmt.Println(f.Name); err != nil {
			return err
		}
	}
}

func child(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// After a kill at any moment every file that was reported is there, every file that is there is
// whole, the lock is free, and the next holder knows whose it was.
func TestKill(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 3
	}
	for i := range kills {
		d := newDir(t)
		cmd := child(t, "flush", d.Location())
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		reported := map[string]bool{}
		for len(reported) <= i%5 && lines.Scan() {
			reported[lines.Text()] = true
		}
		// A different moment of the next flush each time; which one does not matter.
		time.Sleep(time.Duration(i) * 37 * time.Microsecond)
		must(t, cmd.Process.Kill())
		for lines.Scan() {
			reported[lines.Text()] = true
		}
		if err := cmd.Wait(); !errors.As(err, new(*exec.ExitError)) || len(reported) == 0 {
			t.Fatalf("got %v after %d files, want a killed process", err, len(reported))
		}

		listing := list(t, d)
		if len(listing.Executions) != 1 || len(listing.Executions[0].Problems) != 0 || len(listing.Problems) != 0 {
			t.Fatalf("got %+v, want one execution without problems", listing)
		}
		e, err := d.Open(t.Context(), listing.Executions[0].ID)
		must(t, err)
		if holder, took := e.TookOver(); !took || holder.PID != cmd.Process.Pid {
			t.Errorf("got %+v, %v, want PID %d", holder, took, cmd.Process.Pid)
		}
		marks, err := e.InFlight(t.Context())
		must(t, err)
		if len(marks) < len(reported) {
			t.Errorf("got %d marks, want at least %d", len(marks), len(reported))
		}
		files, err := e.Files(t.Context())
		must(t, err)
		for _, f := range files {
			content, err := e.Read(t.Context(), f)
			must(t, err)
			if got := versions.Integrity(content); got != versions.Written {
				t.Errorf("%q: got %d bytes, %q, want it whole", f.Name, len(content), got)
			}
			delete(reported, f.Name)
		}
		if len(reported) > 0 {
			t.Errorf("reported, but not there: %v", reported)
		}
		entries, err := os.ReadDir(e.Location())
		must(t, err)
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), ".tmp-") {
				t.Errorf("%q is still there", entry.Name())
			}
		}
		must(t, e.Remove(t.Context(), files...))
		must(t, e.Close())
		if got := list(t, d); len(got.Executions) != 0 {
			t.Errorf("got %+v, want nothing left", got)
		}
	}
}

// A lock that a child process inherited would outlive its owner.
func TestLockIsNotInherited(t *testing.T) {
	d := newDir(t)
	e, err := d.Begin(t.Context(), "run")
	must(t, err)
	_, err = e.Flush(t.Context(), "pod", []byte("x"))
	must(t, err)
	cmd := child(t, "wait")
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	must(t, e.Close())
	again, err := d.Open(t.Context(), e.ID())
	must(t, err)
	must(t, again.Close())
	must(t, in.Close())
	must(t, cmd.Wait())
}

// Executions that are opened, emptied and listed at once never show anything but a *LockedError or
// that they are gone.
func TestContention(t *testing.T) {
	d := newDir(t)
	done := make(chan error, 1)
	go func() {
		for range 50 {
			e, err := d.Begin(context.Background(), "run")
			if err == nil {
				var f versions.File
				if f, err = e.Flush(context.Background(), "pod", []byte("x")); err == nil {
					err = e.Remove(context.Background(), f)
				}
				err = errors.Join(err, e.Close())
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		select {
		case err := <-done:
			must(t, err)
			if got := list(t, d); len(got.Executions) != 0 {
				t.Errorf("got %+v, want nothing left", got)
			}
			return
		default:
		}
		_, err := versions.Cleanup(t.Context(), d, versions.CleanupOptions{OlderThan: 0, Now: time.Now().Add(time.Hour)})
		must(t, err)
		for _, info := range list(t, d).Executions {
			if len(info.Problems) > 0 {
				t.Errorf("got problems %+v, want none", info.Problems)
			}
		}
	}
}
