// Package limits has the times that ebb takes by itself and that no user sets: how long a request
// can still arrive, how long chaos may take to begin. They are variables so that tests can change
// them.
//
// Use the functions and variables where such a time is needed. Avoid setting them anywhere but at
// the start of a test process: they are read without a lock. The binary that users run has no way
// to set them.
package limits

import "time"

// Request is how long the API server works on a change: it is sent along with the request, and the
// server gives up after it.
var Request = 10 * time.Second

// Landing is how much later a changing request that was sent can still land, and no more: the
// server gives it up after [Request], and half of that again allows for the way there and for
// clocks.
func Landing() time.Duration { return Request + Request/2 }

// Renew is how often a request that is still under way is marked anew.
func Renew() time.Duration { return Request / 2 }

// Effect is how long chaos may take until it is in force.
var Effect = 15 * time.Second

// Look is how long one look at chaos takes at most. What is not seen by then is not known.
var Look = 10 * time.Second

// LookEvery is how often held chaos is looked at, at least. 0: as often as the length of the hold
// says.
var LookEvery time.Duration

// Command is how long a command in a container has at least, whatever the script says. 0: as long as
// the script says.
var Command time.Duration

// Verify is how long a verify that fails is called again. 0: as long as the file has time.
var Verify time.Duration
