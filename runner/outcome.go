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
	Restored        Outcome = "restored"                // the callable has returned and verify has passed
	AlreadyRestored Outcome = "already restored"        // likewise, and there was nothing left to undo
	Unverified      Outcome = "undone, not verified"    // the callable has returned; the file has no verify
	StillPending    Outcome = "restored, still pending" // one of the above, but the file could not be renamed
	Conflict        Outcome = "conflict"                // somebody else changed the object; a person has to decide
	Failed          Outcome = "failed"                  // stays pending
	Blocked         Outcome = "blocked"                 // a newer file failed, or the replay was interrupted before; stays pending
	Skipped         Outcome = "skipped (live run)"      // its execution is in use
	Refused         Outcome = "refused"                 // not safe, replaced, or for another cluster; stays pending
	Planned         Outcome = "planned"                 // of a dry run
	Verified        Outcome = "verified"                // only verify was called, and has passed
	NotObserved     Outcome = "not observed"            // only verify was called, and it can't see any more whether the object is restored
)

// Undone reports whether there is nothing left to undo.
func (o Outcome) Undone() bool { return o == Restored || o == AlreadyRestored || o == Unverified }

// notBegunError is the error of a file that an interrupted replay did not start.
type notBegunError struct{ cause error }

func (e *notBegunError) Error() string { return "not begun: interrupted before its turn" }
func (e *notBegunError) Unwrap() error { return e.cause }

// NotBegun reports whether the replay was interrupted before it came to the file.
func (r Result) NotBegun() bool { return r.Outcome == Blocked && r.BlockedBy == "" }

// blocks reports whether the older files of the execution must wait.
func (o Outcome) blocks() bool { return !o.Undone() && o != StillPending && o != Planned }

// outcomeOf returns the outcome for an error.
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

// Result is the result of one version file. It can be written as JSON and read again; Err is then a
// [*Failure].
type Result struct {
	File      versions.File
	RunUUID   string
	Outcome   Outcome
	Err       error             // why the file is not restored
	BlockedBy string            // the location of the failed file that blocks it
	Actions   []string          // of a dry run: one line for each change; otherwise what is not known of the result
	Changes   []builtins.Change // of a dry run: the objects before and after
	Took      time.Duration
	Undoes    []builtins.Ref // what the file undoes; nil if its header was not read

	// Integrity is the result of comparing the file with its seal. It is "" if the file was not
	// read.
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

// Reason returns on one line why the file is not restored, without the location of the file.
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

// Report is the result of a replay.
type Report struct {
	Results     []Result `json:"results"`
	Interrupted bool     `json:"interrupted"`
}

// tally counts the files that are not undone.
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
