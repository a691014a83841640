package cloudapi

import (
	"errors"
	"fmt"
	"time"

	"github.com/ebb-chaos/ebb/internal/reply"
)

// Reasons of our own, beside the clouds' words.
const (
	Unavailable    = "Unavailable"
	UnknownOutcome = "UnknownOutcome"
	Credentials    = "Credentials"
	Untrusted      = "Untrusted"
	Withheld       = "Withheld" // not sent: somebody else may have the right to make changes
)

// Error says which call failed, about what, and why.
type Error struct {
	Call    string // the cloud's name of it: "StopInstances", "instances.stop"
	Thing   string // what it was about: `instance "i-1"`, or ""
	Reason  string // the cloud's word: "InvalidInstanceID.NotFound"; or one of ours
	Code    int    // the HTTP status, 0 where there was none
	Message string // the cloud's sentence
	Hint    string // what to do about it, or ""
	Err     error  // the cause, or nil
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	text := e.Call
	if e.Thing != "" {
		text += " " + e.Thing
	}
	text += ": " + reply.OneLine(e.Message)
	if e.Code != 0 {
		text += fmt.Sprintf(" (%s, %d)", e.Reason, e.Code)
	}
	return text
}

// Catch lets a script catch the error, by the cloud's own word for it.
func (e *Error) Catch() (reason string, code int) { return e.Reason, e.Code }

// Hints is what can be done about it.
func (e *Error) Hints() []string {
	if e.Hint == "" {
		return nil
	}
	return []string{e.Hint}
}

// Name says in an [*Error], if err is one, which call failed and about what. It returns err.
func Name(err error, call, thing string) error {
	var e *Error
	if errors.As(err, &e) {
		e.Call, e.Thing = call, thing
	}
	return err
}

// UnknownOutcomeError means that a change may have been made, or still may be: it
// was sent and no answer came.
type UnknownOutcomeError struct{ Err error }

func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

func (e *UnknownOutcomeError) Error() string {
	return "it is not known whether the change was made: " + e.Err.Error()
}

// Catch lets a script catch the error, whatever it wraps.
func (e *UnknownOutcomeError) Catch() (reason string, code int) { return UnknownOutcome, 0 }

// Unknown reports whether the fate of a change is open.
func Unknown(err error) bool {
	var u *UnknownOutcomeError
	return errors.As(err, &u)
}

// Retry is the error of an attempt after which another makes sense.
type Retry struct {
	Err   error
	After time.Duration // the server's wish, or 0
	Sent  bool          // it may have been carried out all the same
}

func (e *Retry) Unwrap() error { return e.Err }
func (e *Retry) Error() string { return e.Err.Error() }
