package supervisor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// files is what is known of the version files that a task replays.
type files struct {
	task       *task
	active     map[string]versions.File // those whose code is at work, by key
	unsaid     map[string]versions.File // those of which nothing was said since their code was at work, by key
	lost       map[string]*runner.LostError
	oneAtATime bool                  // one at a time, to find out which it was
	told       map[string]toldResult // by key
	tells      int
}

// toldResult is the latest result of a file that a worker told of.
type toldResult struct {
	runner.Result
	at int // in the order in which results were told
}

func newFiles(t *task) *files {
	return &files{
		task: t, active: map[string]versions.File{}, unsaid: map[string]versions.File{},
		lost: map[string]*runner.LostError{}, told: map[string]toldResult{},
	}
}

func (s *files) handle(e event) {
	switch {
	case e.Begin != nil:
		s.active[e.Begin.Key()], s.unsaid[e.Begin.Key()] = *e.Begin, *e.Begin
	case e.Over != "":
		delete(s.active, e.Over)
	case e.Result != nil:
		s.add(e.Result.result())
	case e.Order != nil:
		s.inOrder(e.Order)
	}
}

// add takes a result in. A worker tells each as soon as it is there, and at its end what else its report
// has, and in which order.
func (s *files) add(r runner.Result) {
	key := r.File.Key()
	if _, again := s.told[key]; !again && s.task.options.Finished != nil {
		s.task.options.Finished(r)
	}
	s.tells++
	s.told[key] = toldResult{r, s.tells}
	delete(s.unsaid, key)
}

// inOrder takes in where results that were told stand in the report.
func (s *files) inOrder(keys []string) {
	for _, key := range keys {
		s.tells++
		if told, ok := s.told[key]; ok {
			told.at = s.tells
			s.told[key] = told
		}
	}
}

// results are what was told: what only earlier workers told of, and then the report of the last one.
func (s *files) results() []runner.Result {
	told := slices.SortedFunc(maps.Values(s.told), func(a, b toldResult) int { return cmp.Compare(a.at, b.at) })
	results := make([]runner.Result, len(told))
	for i, t := range told {
		results[i] = t.Result
	}
	return results
}

// notUndone are the results that another worker need not try for again.
func (s *files) notUndone() []runner.Result {
	return slices.DeleteFunc(s.results(), func(r runner.Result) bool { return r.Outcome.Undone() })
}

// all are the results, and those of lost files that no worker got to say anything of.
func (s *files) all() []runner.Result {
	results := s.results()
	for key, f := range s.lost {
		if _, ok := s.told[key]; !ok {
			results = append(results, runner.Result{File: s.unsaid[key], Outcome: runner.Failed, Err: f})
		}
	}
	return results
}

func (s *files) atWork() bool { return len(s.active) > 0 }

// workerDied gives up the file that the worker was running. If it was running several, the next
// worker runs one at a time. If a file was given up before and was running again, nothing can go
// on: why says so.
func (s *files) workerDied(how string) (why string) {
	defer clear(s.active)
	log := s.task.options.Log
	if len(s.active) > 1 && !s.oneAtATime {
		s.oneAtATime = true
		log.Error(fmt.Sprintf("the process that replays %s while it was replaying %d files: going on with one at a time", how, len(s.active)))
		return ""
	}
	for key, f := range s.active {
		if _, again := s.lost[key]; again {
			return "the process that replays " + how
		}
		s.lost[key] = &runner.LostError{How: how}
		log.Error(fmt.Sprintf("the process that replays %s %s: going on without that file", f.Location, how), "file", f.Location)
	}
	return ""
}

// parallel is how many executions the next worker may replay at the same time.
func (s *files) parallel(wanted int) int {
	if s.oneAtATime {
		return 1
	}
	return wanted
}
