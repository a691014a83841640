package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/versions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// An error is of the same kind, with the same words and hints, when it comes out of another
// process.
func TestFailureCrossesProcesses(t *testing.T) {
	pods := runtimeschema.GroupResource{Resource: "pods"}
	for _, test := range []struct {
		err  error
		want runner.Kind
	}{
		{&kube.Error{Err: &kube.UnavailableError{Server: "https://a"}}, runner.KindUnavailable},
		{&engine.FailError{Msg: "all: x", Causes: []error{fmt.Errorf("y: %w", &kube.Error{Err: &kube.UnavailableError{Server: "https://a"}})}}, runner.KindUnavailable},
		{&kube.Error{Err: apierrors.NewUnauthorized("no")}, runner.KindUnauthorized},
		{&kube.Error{Err: apierrors.NewForbidden(pods, "a", nil)}, runner.KindForbidden},
		{&kube.Error{Err: apierrors.NewConflict(pods, "a", nil)}, runner.KindRefusedRequest},
		{&kube.Error{Err: &kube.UnknownOutcomeError{Err: errors.New("cut off")}}, runner.KindUnknownOutcome},
		{&cloudapi.Error{Call: "EC2", Reason: cloudapi.Unavailable}, runner.KindUnavailable},
		{&builtins.ConflictError{Message: "not ours"}, runner.KindConflict},
		{&builtins.TimeoutError{Message: "not so after 3s"}, runner.KindTimeout},
		{&builtins.ExecError{Command: []string{"false"}, Code: 1}, runner.KindCommand},
		{&engine.FailError{Msg: "no luck"}, runner.KindFailed},
		{&engine.Error{Msg: "undefined: x", Advice: []string{"did you mean y?"}}, runner.KindScript},
		{&runner.RefusedError{Kind: runner.KindOverlap, Err: errors.New("x"), Details: map[string]string{"run_uuid": "r"}, Advice: []string{"do"}}, runner.KindOverlap},
		{&runner.LostError{How: "crashed"}, runner.KindLost},
		{&runner.UnsupportedError{From: "c:1", Type: "x", Known: []string{"y"}}, runner.KindUnsupported},
		{&runner.UnknownRunError{RunUUID: "r"}, runner.KindUnknownRun},
		{&runner.ConfigurationError{Err: errors.New("no such context")}, runner.KindConfiguration},
		{schema.Problems{{File: "a", Message: "m"}}, runner.KindScenario},
		{&versions.LockedError{Execution: "1-a"}, runner.KindLocked},
		{&versions.InsecureError{Path: "/x", Problem: "can be written by others"}, runner.KindInsecure},
		{&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission}, runner.KindFile},
		{context.Canceled, runner.KindInterrupted},
		{context.DeadlineExceeded, runner.KindTimeout},
		{errors.New("anything else"), runner.KindFailed},
	} {
		err := fmt.Errorf("around: %w", test.err)
		if got := runner.KindOf(err); got != test.want {
			t.Errorf("%v: got kind %q, want %q", err, got, test.want)
		}
		data, jerr := json.Marshal(runner.Result{Outcome: runner.Failed, Err: err})
		if jerr != nil {
			t.Fatal(jerr)
		}
		var there runner.Result
		if jerr := json.Unmarshal(data, &there); jerr != nil {
			t.Fatal(jerr)
		}
		again := fmt.Errorf("once more: %w", there.Err)
		if there.Err.Error() != err.Error() || runner.KindOf(again) != test.want ||
			!slices.Equal(runner.HintsOf(again), runner.HintsOf(err)) || runner.IsRefused(again) != runner.IsRefused(err) {
			t.Errorf("%v: came out as %#v with the hints %q, want %q", err, there.Err, runner.HintsOf(again), runner.HintsOf(err))
		}
		here, general := runner.TroubleOf(err)
		if trouble, ok := runner.TroubleOf(again); trouble != here || ok != general || ok != test.want.General() {
			t.Errorf("%v: the trouble is %v here and %v there", err, here, trouble)
		}
	}
	if runner.KindOf(nil) != "" || runner.FailureOf(nil) != nil || runner.HintsOf(nil) != nil {
		t.Error("nil is a failure")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]runner.Options{
		"negative": {Grace: -1}, "script without FS": {Scripts: []runner.ScriptDir{{Name: "x"}}},
	} {
		if _, err := runner.New(versions.NewMemory(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := runner.New(nil, runner.Options{}); err == nil {
		t.Error("no store: no error")
	}
	for name, o := range map[string]runner.RunOptions{
		"UUID": {UUID: "not a label!"}, "iterations": {Iterations: -1}, "wait": {Wait: -1},
	} {
		if o.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
