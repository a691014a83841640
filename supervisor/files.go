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
	active     map[string]versions.File // files whose code is running, by key
	unreported map[string]versions.File // files that were started and have no result yet, by key
	lost       map[string]*runner.LostError
	oneAtATime bool                  // replay one file at a time, to find out which one ends workers
	told       map[string]toldResult // by key
	tells      int
}

// toldResult is the latest result of a file that a worker has reported.
type toldResult struct {
	runner.Result
	at int // its place in the order of the reports
}

func newFiles(t *task) *files {
	return &files{
		task: t, active: map[string]versions.File{}, unreported: map[string]versions.File{},
		lost: map[string]*runner.LostError{}, told: map[string]toldResult{},
	}
}

func (s *files) handle(e event) {
	switch {
	case e.Begin != nil:
		s.active[e.Begin.Key()], s.unreported[e.Begin.Key()] = *e.Begin, *e.Begin
	case e.Over != "":
		delete(s.active, e.Over)
	case e.Result != nil:
		s.add(e.Result.result())
	case e.Order != nil:
		s.inOrder(e.Order)
	}
}

// add adds a result. A worker reports each result at once. At its end, it reports the other results
// of its report, and their order.
func (s *files) add(r runner.Result) {
	key := r.File.Key()
	if _, again := s.told[key]; !again && s.task.options.Finished != nil {
		s.task.options.Finished(r)
	}
	s.tells++
	s.told[key] = toldResult{r, s.tells}
	delete(s.unreported, key)
}

// inOrder sets the order of results that were reported before.
func (s *files) inOrder(keys []string) {
	for _, key := range keys {
		s.tells++
		if told, ok := s.told[key]; ok {
			told.at = s.tells
			s.told[key] = told
		}
	}
}

// results returns the reported results: first those that only earlier workers reported, then those
// of the last worker, in the order of its report.
func (s *files) results() []runner.Result {
	told := slices.SortedFunc(maps.Values(s.told), func(a, b toldResult) int { return cmp.Compare(a.at, b.at) })
	results := make([]runner.Result, len(told))
	for i, t := range told {
		results[i] = t.Result
	}
	return results
}

// notUndone returns the results of files that another worker need not try again.
func (s *files) notUndone() []runner.Result {
	return slices.DeleteFunc(s.results(), func(r runner.Result) bool { return r.Outcome.Undone() })
}

// all returns the results, and failures for files whose code ended a worker and that no worker has
// reported.
func (s *files) all() []runner.Result {
	results := s.results()
	for key, f := range s.lost {
		if _, ok := s.told[key]; !ok {
			results = append(results, runner.Result{File: s.unreported[key], Outcome: runner.Failed, Err: f})
		}
	}
	return results
}

func (s *files) atWork() bool { return len(s.active) > 0 }

// workerDied marks the file that the worker was running as lost. If it was running several, the
// next worker runs one at a time. It returns why no other worker can continue, if a lost file was
// running again.
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

// parallel returns how many executions the next worker may replay at the same time.
func (s *files) parallel(wanted int) int {
	if s.oneAtATime {
		return 1
	}
	return wanted
}
