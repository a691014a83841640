package clusterstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strconv"

	"github.com/ebb-chaos/ebb/versions"
)

// holder is the holder of a Lease, as its annotation has it.
type holder struct {
	versions.Holder
	Identity string `json:"identity"`          // identifies this hold; also in the spec of the Lease
	Boot     string `json:"boot,omitempty"`    // this and the rest identify the process
	PIDs     string `json:"pids,omitempty"`    // the namespace of its PID
	Process  int    `json:"process,omitempty"` // its PID there; that of the Holder may be its parent's
	Started  string `json:"started,omitempty"` // start time, to tell it from a later process with this PID
}

func newHolder(identity string) holder {
	h := holder{Holder: versions.Self(), Identity: identity, Boot: versions.ThisMachine().Boot, PIDs: pidNamespace(), Process: os.Getpid()}
	started, err := startedAt(h.Process)
	if err != nil {
		h.Boot = "" // the process can't be looked for
	}
	h.Started = started
	return h
}

func (h holder) String() string {
	text, err := json.Marshal(h)
	if err != nil {
		return "" // not reached: strings, numbers and a time of this century can always be encoded
	}
	return string(text)
}

// readHolder returns the holder in an annotation, and an empty holder if there is none.
func readHolder(note string) holder {
	var h holder
	if json.Unmarshal([]byte(note), &h) != nil {
		return holder{}
	}
	return h
}

// gone reports whether the holder was a process of this machine that has ended.
func (h holder) gone() bool {
	if h.Boot == "" || h.Boot != versions.ThisMachine().Boot || h.PIDs == "" || h.PIDs != pidNamespace() || h.Process == 0 {
		return false
	}
	started, err := startedAt(h.Process)
	return errors.Is(err, fs.ErrNotExist) || err == nil && started != h.Started
}

// pidNamespace identifies the namespaces of a PID and of its start time. It is "" if they are not
// known.
func pidNamespace() string {
	name, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	clock, err := os.Readlink("/proc/self/ns/time")
	switch {
	case errors.Is(err, fs.ErrNotExist): // a kernel without them
		return name
	case err != nil:
		return ""
	}
	return name + " " + clock
}

// startedAt is when a process began, in clock ticks since the boot. A process that has ended counts
// as gone, even if its parent has not waited for it.
func startedAt(pid int) (string, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// The name, in parentheses, may have any characters.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, started = 0, 19
	if len(fields) <= started {
		return "", errors.New("/proc: got a stat file of another form")
	}
	if s := string(fields[state]); s == "Z" || s == "X" {
		return "", fs.ErrNotExist
	}
	return string(fields[started]), nil
}
