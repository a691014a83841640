package runner

import (
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
)

// Description is what a version file says of itself. None of its code is run for it.
type Description struct {
	builtins.Version
	Content  string   // the source text of what it restores
	Callable Function // what undoes
	Verify   Function // what checks; without a name if there is none
	Problem  string   // why the rest is not known; "" if it is
}

// Function describes one function of a version file.
type Function struct {
	Name  string   `json:"name"`
	Doc   string   `json:"doc,omitempty"`
	Calls []string `json:"calls,omitempty"` // of the cluster and the clouds, also by functions that it uses
}

// Header reads what a version file says at its top, without running any of it. ok is false where
// that does not stand there as ebb writes it.
func (r *Runner) Header(content []byte) (v builtins.Version, ok bool) {
	value, ok := r.engine.Peek(content, nameVersion, "RollbackVersion", "ref")
	if !ok {
		return v, false
	}
	v, err := builtins.VersionOf(value)
	return v, err == nil
}

// Describe reads a version file as text. Unlike a replay, it needs neither cluster nor trust.
func (r *Runner) Describe(name string, content []byte) Description {
	var d Description
	problem := func(text string) {
		if d.Problem == "" {
			d.Problem = text
		}
	}
	if value, ok := r.engine.Peek(content, nameVersion, "RollbackVersion", "ref"); !ok {
		problem(nameVersion + " does not stand at the top as ebb writes it")
	} else if version, err := builtins.VersionOf(value); err != nil {
		problem(err.Error())
	} else {
		d.Version = version
	}
	summary, err := r.engine.Summarize(name, content)
	if err != nil {
		problem(err.Error())
		return d
	}
	d.Content = summary.Values[nameContent]
	describe := func(variable string) Function {
		s := summary.Functions[variable]
		f := Function{Name: s.Name, Doc: s.Doc}
		for _, call := range s.Calls {
			if strings.HasPrefix(call, "k8s.") || strings.HasPrefix(call, "cloud.") {
				f.Calls = append(f.Calls, call)
			}
		}
		return f
	}
	d.Callable, d.Verify = describe(nameCallable), describe(nameVerify)
	return d
}
