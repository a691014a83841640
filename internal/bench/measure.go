package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Sample is one process, from its start to its end, with the processes that it started itself.
type Sample struct {
	Wall  float64 `json:"wall_ms"`
	CPU   float64 `json:"cpu_ms"`
	First float64 `json:"first_ms"`          // until its first byte on standard output or error; 0 if there was none
	Undo  float64 `json:"undo_ms,omitempty"` // until it said that something was undone; 0 if it did not
	Peak  float64 `json:"peak_mib"`          // of memory, of the largest of the processes
}

// process is a program to measure.
type process struct {
	Path string
	Args []string
	Dir  string
	Want int // its exit code
}

// run runs the process to its end, as a child of a new process of this program. Linux counts what
// the process that starts another one had in memory into the peak of the latter, and this one may
// have much.
func (p process) run(ctx context.Context) (Sample, error) {
	self, err := os.Executable()
	if err != nil {
		return Sample{}, err
	}
	in, err := json.Marshal(p)
	if err != nil {
		return Sample{}, err
	}
	cmd := exec.CommandContext(ctx, self, "sample")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin = bytes.NewReader(in)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return Sample{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	var s Sample
	return s, json.Unmarshal(out, &s)
}

// sampleCommand runs the process that standard input has, and prints its sample.
func sampleCommand(ctx context.Context) error {
	var p process
	if err := json.NewDecoder(os.Stdin).Decode(&p); err != nil {
		return err
	}
	s, err := p.sample(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

func (p process) sample(ctx context.Context) (Sample, error) {
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Dir = p.Dir
	said := &firstByte{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if ctx.Err() != nil {
		return Sample{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Sample{}, err
	}
	if code := cmd.ProcessState.ExitCode(); code != p.Want {
		return Sample{}, fmt.Errorf("%s %s: got exit code %d, want %d:\n%s", p.Path, strings.Join(p.Args, " "), code, p.Want, said.end.Bytes())
	}
	s := Sample{Wall: ms(wall), CPU: ms(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())}
	if !said.at.IsZero() {
		s.First = ms(said.at.Sub(began))
	}
	if !said.undone.IsZero() {
		s.Undo = ms(said.undone.Sub(began))
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.Peak = float64(usage.Maxrss) / 1024
	}
	return s, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// firstByte notes when something was first written, and when that something is undone, and keeps the end
// of all that was. exec writes from one goroutine where standard output and error are the same writer.
type firstByte struct {
	at     time.Time
	undone time.Time
	end    bytes.Buffer
}

// undoneLine is the end of the line that tells of an undo.
var undoneLine = []byte(".executed successfully.\n")

var _ io.Writer = (*firstByte)(nil)

func (f *firstByte) Write(b []byte) (int, error) {
	if f.at.IsZero() {
		f.at = time.Now()
	}
	if f.undone.IsZero() && bytes.Contains(b, undoneLine) {
		f.undone = time.Now()
	}
	const most = 8 << 10
	f.end.Write(b[max(0, len(b)-most):])
	if f.end.Len() > 2*most {
		f.end.Next(f.end.Len() - most)
	}
	return len(b), nil
}

// row is one line of the table: what to do before each sample, and what to measure.
type row struct {
	Name    string
	What    string // in words
	BareIs  string // what the bare program does
	Size    int    // how many files, objects or lines
	Reach   float64
	repeats int
	long    bool // it takes minutes, and is measured only if that is wanted
	// prepare returns the two processes of the next sample, each with what has to be done before it.
	// bare may be nil where nothing is comparable.
	prepare func(ctx context.Context, b *bench) (ebb, bare step, err error)
	// cleanup is done after the row. Nil is fine.
	cleanup func(ctx context.Context, b *bench) error
}

// step makes the state that a process needs, and returns the process.
type step func(ctx context.Context) (process, error)

// measure takes the samples of a row, of ebb and of the bare program in turn.
func (b *bench) measure(ctx context.Context, r row) (*Result, error) {
	result := &Result{Name: r.Name, What: r.What, BareIs: r.BareIs, Size: r.Size, Reach: r.Reach}
	ebb, bare, err := r.prepare(ctx, b)
	if err != nil {
		return nil, err
	}
	for i := range max(r.repeats, 1) {
		turns := []struct {
			step step
			into *[]Sample
		}{{ebb, &result.Ebb}, {bare, &result.Bare}}
		if i%2 == 1 { // neither is always the one that finds warm caches
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if turn.step == nil {
				continue
			}
			p, err := turn.step(ctx)
			if err != nil {
				return nil, err
			}
			if len(b.under) > 0 && p.Path == b.ebb {
				p.Path, p.Args = b.under[0], slices.Concat(b.under[1:], []string{p.Path}, p.Args)
			}
			sample, err := p.run(ctx)
			if err != nil {
				return nil, err
			}
			*turn.into = append(*turn.into, sample)
		}
	}
	if r.cleanup != nil {
		err = r.cleanup(ctx, b)
	}
	return result, err
}
