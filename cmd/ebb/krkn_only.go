package main

// What Krkn's command line has and ebb's has not. It asks Prometheus about the past, and begins no chaos.
const (
	scoreCommand = "resiliency-score"
	noScores     = "ebb computes no resiliency scores"
)

var scoreFlags = []string{"resiliency-score", "past-resiliency-score", "start-time", "end-time"}

// scoreHints say where to get what somebody who asks for a score is after.
func (c *caller) scoreHints() []string {
	return []string{
		"for what a run came to: " + c.bare("run", "-o", "json"),
		"for a score, go on with Krkn, which only asks Prometheus: python run_kraken.py " + scoreCommand,
	}
}
