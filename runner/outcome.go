package runner

import (
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// Outcome is what came of one version file.
type Outcome string

// The outcomes of a file.
const (
	Restored        Outcome = "restored"             // its callable returned and its verify passed
	AlreadyRestored Outcome = "already restored"     // the same, and there was nothing left to do
	Unverified      Outcome = "undone, not verified" // its callable returned; it has no verify
	Conflict        Outcome = "conflict"             // somebody else changed it: left alone, needs a person
	Failed          Outcome = "failed"               // stays pending
	Blocked         Outcome = "blocked"              // a newer file failed; stays pending
	Skipped         Outcome = "skipped (live run)"   // its execution is in use
	Refused         Outcome = "refused"              // not ours to touch, or not this cluster's; stays pending
	Planned         Outcome = "planned"              // a dry run
)

// Undone reports whether the file has no more to do.
func (o Outcome) Undone() bool { return o == Restored || o == AlreadyRestored || o == Unverified }

// Result is what came of one version file.
type Result struct {
	File      versions.File
	RunUUID   string
	Outcome   Outcome
	Err       error    // why it is not restored
	BlockedBy string   // the location of the file that failed
	Actions   []string // a dry run: what would be done
	Took      time.Duration

	// Integrity compares the file with what was written; empty if it was not read.
	Integrity versions.SealState
}

// Reason returns why the file is not restored, on one line, without saying again
// which file it is.
func (r Result) Reason() string {
	if r.Err == nil {
		return ""
	}
	text := strings.ReplaceAll(r.Err.Error(), r.File.Location+":", "line ")
	return strings.ReplaceAll(strings.ReplaceAll(text, "line  ", ""), "\n", "; ")
}

// Report is what came of a replay.
type Report struct {
	Results     []Result
	Interrupted bool
}

// tally counts what is not undone.
func (r *Report) tally() (pending, refused int) {
	for _, x := range r.Results {
		switch x.Outcome {
		case Failed, Conflict, Blocked:
			pending++
		case Refused, Skipped:
			refused++
		}
	}
	return pending, refused
}

// Pending counts the files that failed, conflicted or were blocked.
func (r *Report) Pending() int { n, _ := r.tally(); return n }

// Refused counts the files that were refused or skipped.
func (r *Report) Refused() int { _, n := r.tally(); return n }

// RefusedError is something that ebb will not do: a file or a directory that is
// not safe, another cluster, an overlap.
type RefusedError struct {
	Err  error
	Hint string // what to do about it
}

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// isRefused reports whether err is ebb's own refusal.
func isRefused(err error) bool {
	var refused *RefusedError
	var insecure *versions.InsecureError
	var locked *versions.LockedError
	return errors.As(err, &refused) || errors.As(err, &insecure) || errors.As(err, &locked)
}

// isConflict reports whether somebody else's change is in the way.
func isConflict(err error) bool {
	var conflict *builtins.ConflictError
	return errors.As(err, &conflict)
}

func forbidden(err error) bool { return apierrors.IsForbidden(err) }
