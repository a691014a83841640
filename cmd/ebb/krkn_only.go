package main

// Commands that Krkn has and ebb lacks. They query past values in Prometheus, and start no chaos.
const (
	scoreCommand = "resiliency-score"
	noScores     = "ebb computes no resiliency scores"
)

var scoreFlags = []string{"resiliency-score", "past-resiliency-score", "start-time", "end-time"}

// scoreHints says where to get a resiliency score.
func (c *caller) scoreHints() []string {
	return []string{
		"for what a run came to: " + c.bare("run", "-o", "json"),
		"for a score, go on with Krkn, which only asks Prometheus: python run_kraken.py " + scoreCommand,
	}
}
