package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/ebb-chaos/ebb/runner"
)

// gathered is what the workers of a replay have said.
type gathered struct {
	// Of the latest worker.
	active map[string]string // locations of the files whose code is at work, by key
	fatal  string
	done   *done

	results []runner.Result
	place   map[string]int // in results, by key

	heard atomic.Int64 // events so far
}

// begin forgets the worker before.
func (g *gathered) begin() { g.active, g.fatal, g.done = map[string]string{}, "", nil }

// read takes in a worker's events until its end.
func (g *gathered) read(events io.Reader) error {
	for decoder := json.NewDecoder(events); ; {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		g.heard.Add(1)
		switch {
		case e.Begin != "":
			g.active[e.Begin] = e.Location
		case e.Over != "":
			delete(g.active, e.Over)
		case e.Result != nil:
			g.add(*e.Result)
		case e.Fatal != "":
			g.fatal = e.Fatal
		case e.Done != nil:
			g.done = e.Done
		}
	}
}

// tried are the files that are not undone: another worker need not try them again.
func (g *gathered) tried() []runner.Result {
	var tried []runner.Result
	for _, r := range g.results {
		if !r.Outcome.Undone() {
			tried = append(tried, r)
		}
	}
	return tried
}

func (g *gathered) has(key string) bool {
	_, ok := g.place[key]
	return ok
}

// add puts a result in the place of an earlier one of the same file: a worker tells each
// as soon as it is there, and all at its end.
func (g *gathered) add(r runner.Result) {
	if i, ok := g.place[r.File.Key()]; ok {
		g.results[i] = r
		return
	}
	if g.place == nil {
		g.place = map[string]int{}
	}
	g.place[r.File.Key()] = len(g.results)
	g.results = append(g.results, r)
}
