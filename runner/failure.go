package runner

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// Failure is an error in a form that can be sent to another process, or written into a report. It
// has the kind and the texts of an error, and not its Go values. It is an error itself, with the
// same kind and hints.
type Failure struct {
	Kind     Kind              `json:"kind"`
	Message  string            `json:"message"`
	Remedies []string          `json:"hints,omitempty"`   // the hints
	Details  map[string]string `json:"details,omitempty"` // such as server, run_uuid, file, pid, forcible
	Excerpt  string            `json:"excerpt,omitempty"` // the line of a script, with a caret under the column
}

func (f *Failure) Error() string { return f.Message }

// Hints returns the hints of the error.
func (f *Failure) Hints() []string { return f.Remedies }

// FailureOf returns an error as a Failure, and nil for nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	var known *Failure
	if errors.As(err, &known) {
		copied := *known
		copied.Message = err.Error()
		return &copied
	}
	f := &Failure{Kind: KindOf(err), Message: err.Error(), Remedies: HintsOf(err), Details: details(err)}
	var script *engine.Error
	if errors.As(err, &script) {
		f.Excerpt = script.Excerpt
	}
	return f
}

// HintsOf returns what a person can do about an error: the hints of all errors in its chain, each
// once.
func HintsOf(err error) []string {
	var hints []string
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		if hinter, ok := err.(interface{ Hints() []string }); ok {
			for _, hint := range hinter.Hints() {
				if !slices.Contains(hints, hint) {
					hints = append(hints, hint)
				}
			}
		}
		switch err := err.(type) {
		case interface{ Unwrap() error }:
			walk(err.Unwrap())
		case interface{ Unwrap() []error }:
			for _, cause := range err.Unwrap() {
				walk(cause)
			}
		}
	}
	walk(err)
	return hints
}

// details returns what a hint or a program needs besides the kind.
func details(err error) map[string]string {
	all := map[string]string{}
	var (
		refused     *RefusedError
		locked      *versions.LockedError
		insecure    *versions.InsecureError
		unavailable *kube.UnavailableError
		cloud       *cloudapi.Error
		unknown     *UnknownRunError
		overlap     *builtins.OverlapError
		conflict    *builtins.ConflictError
	)
	if errors.As(err, &refused) {
		maps.Copy(all, refused.Details)
	}
	if errors.As(err, &locked) {
		all["execution"] = locked.Execution
	}
	if errors.As(err, &insecure) {
		all["path"] = insecure.Path
	}
	if errors.As(err, &unavailable) {
		all["service"] = unavailable.Server
	}
	if errors.As(err, &cloud) {
		all["service"] = cloud.Call
	}
	if errors.As(err, &conflict) && conflict.Forcible {
		all["forcible"] = "true"
	}
	if errors.As(err, &unknown) {
		all["run_uuid"] = unknown.RunUUID
	}
	if errors.As(err, &overlap) {
		all["run_uuid"] = overlap.RunUUID
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// Trouble is a common reason why several files can't be undone, such as a server that does not
// answer or credentials that are refused. Two of them can be compared with ==.
type Trouble struct {
	Kind    Kind
	Service string
}

// TroubleOf returns the Trouble in an error. It returns false if the error concerns only one file.
func TroubleOf(err error) (Trouble, bool) {
	f := FailureOf(err)
	if f == nil || !f.Kind.General() {
		return Trouble{}, false
	}
	return Trouble{f.Kind, f.Details["service"]}, true
}

// String completes "the files failed: …".
func (t Trouble) String() string {
	service := t.Service
	if service == "" {
		service = "the API server"
	}
	switch t.Kind {
	case KindUnavailable:
		return service + " does not answer"
	case KindUnauthorized:
		return service + " refused the credentials: log in again"
	case KindCredentials:
		return "there are no credentials for " + service
	case KindUntrusted:
		return "the certificate of " + service + " is not trusted"
	}
	return strings.TrimSpace(service + " can't be reached as it is configured")
}

// RefusedError means that something was not done because it would not be safe: it is another
// cluster, a file replaced another one, or two executions overlap.
type RefusedError struct {
	Kind    Kind
	Err     error
	Details map[string]string
	Advice  []string // the hints
}

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// Hints returns what a person can do about it.
func (e *RefusedError) Hints() []string { return e.Advice }

// LostError means that the process that ran a file or a scenario ended, mostly because of its code.
type LostError struct {
	How   string // how it ended; completes a sentence that begins with "the process"
	Doing string // what the process did, such as "replayed", which is the default
}

func (e *LostError) Error() string {
	doing := e.Doing
	if doing == "" {
		doing = "replayed"
	}
	return "the process that " + doing + " it " + e.How
}

// refused reports whether an error of this kind means that nothing was attempted.
func (k Kind) refused() bool {
	switch k {
	case KindWrongCluster, KindReplaced, KindNewerPending, KindOverlap, KindRights, KindStore, KindInsecure, KindLocked, KindDrift, KindUnsigned:
		return true
	}
	return false
}

// IsRefused reports whether an error means that something was not done because it would not be
// safe.
func IsRefused(err error) bool { return KindOf(err).refused() }
