package main

import (
	"fmt"

	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
)

// Annotations with which a pod controls how the sandbox simulates it.
const (
	completeAfter = "sandbox/complete-after" // succeed or fail this long after the start: "2s"
	exitCode      = "sandbox/exit-code"      // exit code: 0 is Succeeded, all others are Failed
	stopAfter     = "sandbox/stop-after"     // take this long to end after a delete, within the grace period
)

// A pod without annotations ends this many milliseconds after its deletion.
const stopMilliseconds int64 = 50

var (
	podRef  = internalversion.StageResourceRef{APIGroup: "v1", Kind: "Pod"}
	nodeRef = internalversion.StageResourceRef{APIGroup: "v1", Kind: "Node"}
)

// stages returns the life cycles that kwok simulates: its own for what becomes ready at once, ours
// for how pods finish and end.
func stages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	all := map[internalversion.StageResourceRef][]*internalversion.Stage{
		podRef: {completeStage(), deleteStage()},
	}
	for _, source := range []struct {
		ref  internalversion.StageResourceRef
		yaml string
	}{
		{nodeRef, fast.DefaultNodeInit},
		{nodeRef, heartbeat.DefaultNodeHeartbeatWithLease},
		{podRef, podfast.DefaultPodReady},
	} {
		stage, err := kwokconfig.UnmarshalWithType[*internalversion.Stage](source.yaml)
		if err != nil {
			return nil, fmt.Errorf("read kwok's own stages: %w", err)
		}
		all[source.ref] = append(all[source.ref], stage)
	}
	return all, nil
}

// The jq expressions yield nothing for a value that they can't parse, and a stage whose selector
// yields nothing does not apply. kwok treats an invalid delay as no delay. So only what certainly
// is a duration within Go's range passes.
const jqDuration = `select(length > 0 and test("^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}([.][0-9]{1,9})?s)?([0-9]{1,6}ms)?$"))`

func jqAnnotation(name string) string {
	return fmt.Sprintf(`(.metadata.annotations[%q] // "" | %s)`, name, jqDuration)
}

// jqComplete yields how long a pod runs. The pods of ebb's scenarios have no annotations for the
// sandbox. Their images run for DURATION seconds and end, so they do the same here.
var jqComplete = jqAnnotation(completeAfter) + ` // (
	select(.spec.restartPolicy == "Never") | .spec.containers[0].env // [] | .[] |
	select(.name == "DURATION") | .value // "" | select(test("^[0-9]{1,9}$")) | . + "s")`

func completeStage() *internalversion.Stage {
	stage := &internalversion.Stage{Spec: internalversion.StageSpec{
		ResourceRef: podRef,
		Selector: selector(
			jq(".metadata.deletionTimestamp", internalversion.SelectorOpDoesNotExist),
			jq(".status.phase", internalversion.SelectorOpIn, "Running"),
			jq(jqComplete, internalversion.SelectorOpExists),
		),
		Delay: &internalversion.StageDelay{DurationFrom: from(jqComplete)},
		Steps: []internalversion.StageStep{{Patch: &internalversion.StagePatch{
			Subresource: "status", Root: "status", Template: completed,
		}}},
	}}
	stage.Name = "pod-complete"
	return stage
}

// An exit code that is not a number counts as a failure, so that a typing error can't look like a
// success.
const completed = `
{{ $now := Now }}
{{ $pod := . }}
{{ $code := "0" }}
{{ with .metadata.annotations }}{{ $code = or (index . "` + exitCode + `") "0" }}{{ end }}
{{ if not (regexMatch "^[0-9]{1,3}$" $code) }}{{ $code = "255" }}{{ end }}
{{ $failed := ne (atoi $code) 0 }}
phase: {{ if $failed }}Failed{{ else }}Succeeded{{ end }}
conditions:
- {type: Ready, status: "False", reason: PodCompleted, lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "False", reason: PodCompleted, lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range $i, $container := .spec.containers }}
- name: {{ $container.name | Quote }}
  image: {{ $container.image | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: {{ atoi $code }}
      reason: {{ if $failed }}Error{{ else }}Completed{{ end }}
      startedAt: {{ $pod.status.startTime | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
`

// jqStop yields the milliseconds that an annotated pod takes to end. That is at most its grace
// period, after which a kubelet would kill it. jq can't parse durations, so this adds up the parts.
var jqStop = jqAnnotation(stopAfter) + ` as $asked |
	([$asked | scan("([0-9.]+)(h|ms|m|s)") | (.[0] | tonumber) * {"h": 3600, "m": 60, "s": 1, "ms": 0.001}[.[1]]] | add) as $want |
	((.metadata.deletionTimestamp | fromdate) - now) as $grace |
	"\([[$want, $grace] | min, 0] | max * 1000 | floor)ms"`

func deleteStage() *internalversion.Stage {
	milliseconds := stopMilliseconds
	stage := &internalversion.Stage{Spec: internalversion.StageSpec{
		ResourceRef: podRef,
		Selector: selector(
			jq(".metadata.deletionTimestamp", internalversion.SelectorOpExists),
			jq(".metadata.finalizers", internalversion.SelectorOpDoesNotExist),
		),
		Delay: &internalversion.StageDelay{DurationMilliseconds: &milliseconds, DurationFrom: from(jqStop)},
		Steps: []internalversion.StageStep{{Delete: true}},
	}}
	stage.Name = "pod-delete"
	return stage
}

func selector(expressions ...internalversion.MatchExpression) *internalversion.StageSelector {
	return &internalversion.StageSelector{MatchExpressions: expressions}
}

func jq(key string, op internalversion.SelectorOperator, values ...string) internalversion.MatchExpression {
	return internalversion.MatchExpression{JQ: &internalversion.SelectorJQ{Key: key, Operator: op, Values: values}}
}

func from(expression string) *internalversion.ExpressionFrom {
	return &internalversion.ExpressionFrom{JQ: &internalversion.ExpressionJQ{Expression: expression}}
}
