package cloudapi

import (
	"errors"
	"fmt"
	"time"

	"github.com/ebb-chaos/ebb/internal/reply"
)

// Reasons of our own, besides those of the clouds.
const (
	Unavailable    = "Unavailable"
	UnknownOutcome = "UnknownOutcome"
	Credentials    = "Credentials"
	Untrusted      = "Untrusted"
	Withheld       = "Withheld" // not sent: another process may have taken over
)

// Error says which call failed, about what, and why.
type Error struct {
	Call    string // the cloud's name of the call: "StopInstances", "instances.stop"
	Thing   string // what the call was about: `instance "i-1"`, or ""
	Reason  string // the cloud's error code, "InvalidInstanceID.NotFound", or one of ours
	Code    int    // the HTTP status, 0 if there was none
	Message string // the cloud's message
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

// Catch lets a script catch the error, by its reason.
func (e *Error) Catch() (reason string, code int) { return e.Reason, e.Code }

// Hints returns what can be done about the error.
func (e *Error) Hints() []string {
	if e.Hint == "" {
		return nil
	}
	return []string{e.Hint}
}

// Name adds to an [*Error] which call failed and about what. It returns err.
func Name(err error, call, thing string) error {
	var e *Error
	if errors.As(err, &e) {
		e.Call, e.Thing = call, thing
	}
	return err
}

// UnknownOutcomeError means that a request for a change was sent, and no answer came. The change
// may have been made, or may still be made.
type UnknownOutcomeError struct{ Err error }

func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

func (e *UnknownOutcomeError) Error() string {
	return "it is not known whether the change was made: " + e.Err.Error()
}

// Catch lets a script catch the error, whatever it wraps.
func (e *UnknownOutcomeError) Catch() (reason string, code int) { return UnknownOutcome, 0 }

// Unknown reports whether it is unknown if a change was made.
func Unknown(err error) bool {
	var u *UnknownOutcomeError
	return errors.As(err, &u)
}

// Retry is the error of an attempt that can be repeated.
type Retry struct {
	Err   error
	After time.Duration // the pause that the server asked for, or 0
	Sent  bool          // the request may have been carried out all the same
}

func (e *Retry) Unwrap() error { return e.Err }
func (e *Retry) Error() string { return e.Err.Error() }
