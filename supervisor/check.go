package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ebb-chaos/ebb/runner"
)

// Source is a version file or a scenario script to check.
type Source struct {
	Name    string // for messages
	Content []byte
	Script  string // of a scenario script: its path; it is read there again, with the files that it loads
}

// Diagnosis has the findings about a source. Warnings do not stop a replay.
type Diagnosis struct {
	Name     string
	Errors   []Finding
	Warnings []Finding

	// Declared is what a scenario script declares. It is nil for a version file, and if there are
	// errors.
	Declared *runner.Declared
}

// Finding is one error or warning.
type Finding struct {
	*runner.Failure
	Detail string // several lines, with the source line and hints; "" if Message has everything
}

// checkOrder is sources to check.
type checkOrder struct{ Sources []Source }

// Check is [runner.Runner.Diagnose], or DiagnoseScript, in a worker, for each source. If the code
// of a source ends the worker, that is an error of the source, and another worker continues with
// the next one.
func (s *Supervisor) Check(ctx context.Context, sources []Source) ([]Diagnosis, error) {
	t := s.begin(ctx, "checks")
	defer func() { t.over() }()
	var found []Diagnosis
	unexplained := 0
	for len(found) < len(sources) {
		left := sources[len(found):]
		began := len(found)
		checking := 0
		var last *done
		end, err := t.work(order{Check: &checkOrder{left}}, func(e event) {
			switch {
			case e.Checking != 0:
				checking = e.Checking
			case e.Checked != nil:
				found = append(found, *e.Checked)
				checking = 0
			case e.Done != nil:
				last = e.Done
			}
		})
		switch {
		case ctx.Err() != nil:
			return found, ctx.Err()
		case s.wasKilled():
			return found, &IncompleteError{Why: "the check was ended"}
		case err != nil && began == 0:
			return t.checkHere(sources, err)
		case err != nil:
			return found, err
		case last != nil && last.Failure != nil:
			return found, last.Failure
		case last != nil:
			return found, nil
		case checking != 0:
			name := left[checking-1].Name
			lost := &runner.Failure{Kind: runner.KindLost, Message: fmt.Sprintf("%s: the process that checked it %s", name, end.how)}
			found = append(found, Diagnosis{Name: name, Errors: []Finding{{Failure: lost}}})
		default:
			if unexplained++; unexplained == workerTries {
				return found, &IncompleteError{Why: "the process that checks " + end.how}
			}
		}
	}
	return found, nil
}

// checkHere checks in this process.
func (t *task) checkHere(sources []Source, why error) ([]Diagnosis, error) {
	r, err := t.runnerInProcess(why)
	if err != nil {
		return nil, err
	}
	var found []Diagnosis
	for _, source := range sources {
		found = append(found, diagnose(t.ctx, r, source))
	}
	return found, t.ctx.Err()
}

// check does the work in the worker.
func (h *workerTask) check(ctx context.Context, r *runner.Runner, o *checkOrder) error {
	for i, source := range o.Sources {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		h.inside.Tell(event{Checking: i + 1})
		found := diagnose(ctx, r, source)
		h.inside.Tell(event{Checked: &found})
	}
	return nil
}

func diagnose(ctx context.Context, r *runner.Runner, source Source) Diagnosis {
	var errs, warnings []error
	var declared *runner.Declared
	if source.Script != "" {
		dir := runner.ScriptDir{Name: filepath.Dir(source.Name), FS: os.DirFS(filepath.Dir(source.Script))}
		errs, warnings = r.DiagnoseScript(ctx, dir, filepath.Base(source.Script))
		if len(errs) == 0 {
			var err error
			if declared, err = r.Declared(ctx, dir, filepath.Base(source.Script)); err != nil {
				errs = append(errs, err)
			}
		}
	} else {
		errs, warnings = r.Diagnose(ctx, source.Name, source.Content)
	}
	return Diagnosis{source.Name, findings(errs), findings(warnings), declared}
}

func findings(errs []error) []Finding {
	var all []Finding
	for _, err := range errs {
		f := Finding{Failure: runner.FailureOf(err)}
		var detailed interface{ Detail() string }
		if errors.As(err, &detailed) {
			f.Detail = detailed.Detail()
		}
		all = append(all, f)
	}
	return all
}

// OK reports whether there are no errors.
func (d Diagnosis) OK() bool { return len(d.Errors) == 0 }
