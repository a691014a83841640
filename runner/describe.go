package runner

import (
	"strings"

	"github.com/ebb-chaos/ebb/builtins"
)

// Description describes a version file. It is made without running the file.
type Description struct {
	builtins.Version
	Content  string   // source text of the content: what the callable gets
	Callable Function // the undo
	Verify   Function // checks the undo; its name is "" if there is none
	Problem  string   // why the rest could not be read, or ""
}

// Function describes one function of a version file.
type Function struct {
	Name  string   `json:"name"`
	Doc   string   `json:"doc,omitempty"`
	Calls []string `json:"calls,omitempty"` // builtins for the cluster and the clouds that it calls, also through other functions
}

// Header reads the header of a version file, without running the file. ok is false if the header
// does not have the form that ebb writes.
func (r *Runner) Header(content []byte) (v builtins.Version, ok bool) {
	value, ok := r.engine.Peek(content, nameVersion, "RollbackVersion", "ref")
	if !ok {
		return v, false
	}
	v, err := builtins.VersionOf(value)
	return v, err == nil
}

// Describe describes a version file from its source text. Unlike a replay, it needs no cluster, and
// the file need not be trusted.
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
