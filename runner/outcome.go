package runner

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// Outcome is what came of one version file.
type Outcome string

// The outcomes of a file.
const (
	Restored        Outcome = "restored"                // its callable returned and its verify passed
	AlreadyRestored Outcome = "already restored"        // the same, and there was nothing left to do
	Unverified      Outcome = "undone, not verified"    // its callable returned; it has no verify
	StillPending    Outcome = "restored, still pending" // the same as one of these, but its name could not be changed
	Conflict        Outcome = "conflict"                // somebody else changed it: left alone, needs a person
	Failed          Outcome = "failed"                  // stays pending
	Blocked         Outcome = "blocked"                 // a newer file failed, or the replay was interrupted before; stays pending
	Skipped         Outcome = "skipped (live run)"      // its execution is in use
	Refused         Outcome = "refused"                 // not ours to touch, or not this cluster's; stays pending
	Planned         Outcome = "planned"                 // a dry run
	Verified        Outcome = "verified"                // only its verify was called, and passed
	NotObserved     Outcome = "not observed"            // only its verify was called, and what it is to look at can't be seen any more
)

// Undone reports whether the file has no more to do.
func (o Outcome) Undone() bool { return o == Restored || o == AlreadyRestored || o == Unverified }

// notBegunError is what became of a file that an interrupted replay had not come to.
type notBegunError struct{ cause error }

func (e *notBegunError) Error() string { return "not begun: interrupted before its turn" }
func (e *notBegunError) Unwrap() error { return e.cause }

// NotBegun reports whether the replay was interrupted before it came to the file.
func (r Result) NotBegun() bool { return r.Outcome == Blocked && r.BlockedBy == "" }

// blocks reports whether older files of the same execution have to wait.
func (o Outcome) blocks() bool { return !o.Undone() && o != StillPending && o != Planned }

// outcomeOf returns the outcome that an error is.
func outcomeOf(err error) Outcome {
	switch kind := KindOf(err); {
	case kind == KindLocked:
		return Skipped
	case kind.refused():
		return Refused
	case kind == KindConflict:
		return Conflict
	}
	return Failed
}

// Result is what came of one version file. It can be written as JSON and read again: Err is a
// [*Failure] then.
type Result struct {
	File      versions.File
	RunUUID   string
	Outcome   Outcome
	Err       error             // why it is not restored
	BlockedBy string            // the location of the file that failed
	Actions   []string          // a dry run: what would be done, a line each
	Changes   []builtins.Change // the same with the objects as they are and as they would be
	Took      time.Duration
	Undoes    []builtins.Ref // what the file is for; nil if that was not read

	// Integrity compares the file with what was written; empty if it was not read.
	Integrity versions.SealState
}

// resultJSON is a Result whose error can be written down.
type resultJSON struct {
	File      versions.File      `json:"file"`
	RunUUID   string             `json:"run_uuid"`
	Outcome   Outcome            `json:"outcome"`
	Failure   *Failure           `json:"failure,omitempty"`
	BlockedBy string             `json:"blocked_by,omitempty"`
	Actions   []string           `json:"actions,omitempty"`
	Changes   []builtins.Change  `json:"changes,omitempty"`
	Took      time.Duration      `json:"took_ns"`
	Undoes    []builtins.Ref     `json:"undoes,omitempty"`
	Integrity versions.SealState `json:"integrity,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r Result) MarshalJSON() ([]byte, error) {
	return json.Marshal(resultJSON{r.File, r.RunUUID, r.Outcome, FailureOf(r.Err), r.BlockedBy, r.Actions, r.Changes, r.Took, r.Undoes, r.Integrity})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Result) UnmarshalJSON(data []byte) error {
	var j resultJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*r = Result{
		File: j.File, RunUUID: j.RunUUID, Outcome: j.Outcome, BlockedBy: j.BlockedBy,
		Actions: j.Actions, Changes: j.Changes, Took: j.Took, Undoes: j.Undoes, Integrity: j.Integrity,
	}
	if j.Failure != nil {
		r.Err = j.Failure
	}
	return nil
}

// Reason returns why the file is not restored, on one line, without saying again
// which file it is.
func (r Result) Reason() string {
	if r.Err == nil {
		return ""
	}
	text := r.Err.Error()
	if r.File.Location != "" {
		text = strings.ReplaceAll(text, r.File.Location+":", "line ")
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "line  ", ""), "\n", "; ")
}

// Report is what came of a replay.
type Report struct {
	Results     []Result `json:"results"`
	Interrupted bool     `json:"interrupted"`
}

// tally counts what is not undone.
func (r *Report) tally() (pending, refused int) {
	for _, x := range r.Results {
		switch x.Outcome {
		case Failed, Conflict, Blocked, StillPending:
			pending++
		case Refused, Skipped:
			refused++
		}
	}
	return pending, refused
}

// Pending counts the files that failed, conflicted, were blocked or could not be renamed.
func (r *Report) Pending() int { n, _ := r.tally(); return n }

// Refused counts the files that were refused or skipped.
func (r *Report) Refused() int { _, n := r.tally(); return n }
