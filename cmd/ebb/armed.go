//go:build ebbtest

package main

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/internal/killpoint"
	"github.com/ebb-chaos/ebb/internal/limits"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
)

// The tests run a binary that is built with the tag ebbtest. It is the same program, but it reads
// settings from its environment. EBB_KILL_AT lists the points at which it is killed or signalled
// ([killpoint.Parse]). EBB_REPEAT_WINDOW, EBB_MEMORY, EBB_STORE_TIMES, EBB_REQUEST_TIME,
// EBB_EFFECT_TIME, EBB_LOOK_TIME, EBB_LOOK_EVERY_TIME, EBB_COMMAND_TIME and EBB_VERIFY_TIME set
// limits. EBB_PROC replaces the /proc of nodes. EBB_EVENTS turns on Kubernetes Events.
func init() {
	_, isWorker := os.LookupEnv("EBB_WORKER_OF")
	triggers, err := killpoint.Parse(os.Getenv("EBB_KILL_AT"), killpoint.Process{Worker: isWorker, Stopping: stopping})
	mustSet("EBB_KILL_AT", err)
	if triggers.Armed() {
		repeatWindow = 0 // every signal from a kill point counts
		reached = func(p runner.Point) { triggers.Reached(string(p)) }
	}
	eventsOff = os.Getenv("EBB_EVENTS") == ""
	for variable, d := range map[string]*time.Duration{
		"EBB_REPEAT_WINDOW": &repeatWindow, "EBB_REQUEST_TIME": &limits.Request,
		"EBB_EFFECT_TIME": &limits.Effect, "EBB_LOOK_TIME": &limits.Look, "EBB_COMMAND_TIME": &limits.Command,
		"EBB_LOOK_EVERY_TIME": &limits.LookEvery, "EBB_VERIFY_TIME": &limits.Verify,
	} {
		if text := os.Getenv(variable); text != "" {
			*d, err = time.ParseDuration(text)
			mustSet(variable, err)
		}
	}
	if proc := os.Getenv("EBB_PROC"); proc != "" {
		builtinScripts = procFS{scripts.FS, proc}
	}
	if text := os.Getenv("EBB_STORE_TIMES"); text != "" {
		mustSet("EBB_STORE_TIMES", parseStoreTimes(text))
	}
	if text := os.Getenv("EBB_MEMORY"); text != "" {
		mib, err := strconv.ParseUint(text, 10, 64)
		mustSet("EBB_MEMORY", err)
		maxMemory = mib << 20
	}
}

// parseStoreTimes reads the durations for holding an execution (lease, renew, stop and settle), and
// how long to wait for a cluster that has only a copy.
func parseStoreTimes(text string) error {
	words := strings.Split(text, ",")
	if len(words) != 4 && len(words) != 5 {
		return fmt.Errorf("got %q, want four durations or five", text)
	}
	times := []*time.Duration{&storeTimes.Lease, &storeTimes.Renew, &storeTimes.Stop, &storeTimes.Settle, &bothPatience}
	for i, word := range words {
		var err error
		if *times[i], err = time.ParseDuration(word); err != nil {
			return err
		}
	}
	return nil
}

// mustSet ends the process if a test set an invalid limit.
func mustSet(variable string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", variable, err)
		os.Exit(99) // a code that no test expects
	}
}

// procFS serves the built-in scripts with another path for the kernel's files. Tests must not
// change the kernel settings of the machine that they run on.
type procFS struct {
	embed.FS
	proc string
}

// Open implements [fs.FS].
func (p procFS) Open(name string) (fs.File, error) {
	file, err := p.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".star") {
		return file, err
	}
	data, err := io.ReadAll(file)
	changed := bytes.ReplaceAll(data, []byte(`PROC = "/host/proc"`), fmt.Appendf(nil, "PROC = %q", p.proc))
	return &procFile{file, bytes.NewReader(changed)}, err
}

type procFile struct {
	fs.File
	changed *bytes.Reader
}

func (f *procFile) Read(b []byte) (int, error) { return f.changed.Read(b) }
