package htmlreport

import (
	"time"
)

// State says how good something is.
type State string

// The states, of the page and of each thing on it.
const (
	Good State = "good" // restored, in force, done
	Warn State = "warn" // to be looked at: not observed, blocked, planned
	Bad  State = "bad"  // not restored, no effect, failed
)

// Report is what the page shows.
type Report struct {
	Title     string // "Run", "Replay"
	Verdict   string // one sentence: what came of it
	State     State
	Facts     []Fact // at the top: the run's UUID, the configuration, who ran it
	Began     time.Time
	Ended     time.Time
	Scenarios []Scenario
	Files     []File // of a replay; those of scenarios are theirs
	Log       []string
	LogCut    int   // log lines that were left out, in the middle
	LogLost   int64 // log lines that could not be copied into the report
}

// Fact is a name and a value.
type Fact struct{ Name, Value string }

// Scenario is one scenario file that was run.
type Scenario struct {
	Name    string // its file
	Type    string
	Outcome string
	State   State
	Error   string
	Hints   []string
	Began   time.Time
	Ended   time.Time
	Effects []Effect
	Undo    []File
	Pending []string // files that were left for a replay on purpose
}

// Effect is what was seen of the chaos.
type Effect struct {
	Name  string // "in force", "no effect", …
	State State
	Hit   []string
	From  time.Time // zero: it was not seen
	Until time.Time
	Why   string
}

// File is what came of one version file.
type File struct {
	Name     string // short
	Location string // whole
	Outcome  string
	State    State
	Conflict bool
	Reason   string
	Hints    []string
	Actions  []string
	Ended    time.Time // zero: not known
	Took     time.Duration
	Verified bool
}
