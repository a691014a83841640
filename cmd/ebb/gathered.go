package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/ebb-chaos/ebb/runner"
)

// gathered is what the workers of a replay have said.
type gathered struct {
	// Of the latest worker.
	active map[string]int // how often each file's code is at work
	fatal  string
	done   *done

	results []runner.Result
	place   map[string]int

	heard atomic.Int64 // events so far
}

// read takes in a worker's events until its end.
func (g *gathered) read(events io.Reader) error {
	g.active, g.fatal, g.done = map[string]int{}, "", nil
	for decoder := json.NewDecoder(events); ; {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the events of the process that replays: %w", err)
		}
		g.heard.Add(1)
		switch {
		case e.Begin != "":
			g.active[e.Begin]++
		case e.Over != "":
			if g.active[e.Over]--; g.active[e.Over] == 0 {
				delete(g.active, e.Over)
			}
		case e.Result != nil:
			g.add(e.Result.result())
		case e.Fatal != "":
			g.fatal = e.Fatal
		case e.Done != nil:
			g.done = e.Done
		}
	}
}

// tried are the files that are not undone: another worker need not try them again.
func (g *gathered) tried() []*wireResult {
	var tried []*wireResult
	for _, r := range g.results {
		if !r.Outcome.Undone() {
			tried = append(tried, toWire(r))
		}
	}
	return tried
}

// add puts a result in the place of an earlier one of the same file.
func (g *gathered) add(r runner.Result) {
	key := strings.TrimSuffix(r.File.Location, ".executed")
	if i, ok := g.place[key]; ok {
		g.results[i] = r
		return
	}
	if g.place == nil {
		g.place = map[string]int{}
	}
	g.place[key] = len(g.results)
	g.results = append(g.results, r)
}
