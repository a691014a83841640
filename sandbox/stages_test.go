package main

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kwok/pkg/utils/lifecycle"
)

func running(change func(*corev1.Pod)) *corev1.Pod {
	return pod("p", func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		change(p)
	})
}

func pending(change func(*corev1.Pod)) *corev1.Pod {
	return pod("p", func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodPending
		change(p)
	})
}

func annotated(name, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{name: value} }
}

func duration(value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "OTHER", Value: "9"}, {Name: "DURATION", Value: value}}
	}
}

func deleted(in time.Duration, change func(*corev1.Pod)) *corev1.Pod {
	return running(func(p *corev1.Pod) {
		at := metav1.NewTime(time.Now().Add(in))
		p.DeletionTimestamp = &at
		change(p)
	})
}

func TestStages(t *testing.T) {
	all, err := stages()
	if err != nil {
		t.Fatal(err)
	}
	lc, err := lifecycle.NewLifecycle(all[podRef])
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(*corev1.Pod) {}
	const long = time.Hour // far from any rounding
	for name, test := range map[string]struct {
		pod   *corev1.Pod
		stage string
		delay time.Duration
	}{
		"pending":                        {pending(nothing), "pod-ready", 0},
		"pending, annotated":             {pending(annotated(completeAfter, "2s")), "pod-ready", 0},
		"plain":                          {running(nothing), "", 0},
		"annotated":                      {running(annotated(completeAfter, "2s")), "pod-complete", 2 * time.Second},
		"annotated with parts":           {running(annotated(completeAfter, "1h2m1.5s3ms")), "pod-complete", time.Hour + 2*time.Minute + 1503*time.Millisecond},
		"annotated with nothing":         {running(annotated(completeAfter, "")), "", 0},
		"annotated with a word":          {running(annotated(completeAfter, "soon")), "", 0},
		"annotated with no unit":         {running(annotated(completeAfter, "2")), "", 0},
		"annotated with a negative":      {running(annotated(completeAfter, "-2s")), "", 0},
		"annotated beyond Go's range":    {running(annotated(completeAfter, strings.Repeat("9", 40)+"h")), "", 0},
		"annotated, not with a duration": {running(annotated("other", "2s")), "", 0},
		"DURATION":                       {running(duration("30")), "pod-complete", 30 * time.Second},
		"DURATION 0":                     {running(duration("0")), "pod-complete", 0},
		"DURATION with a unit":           {running(duration("30s")), "", 0},
		"DURATION empty":                 {running(duration("")), "", 0},
		"DURATION beyond Go's range":     {running(duration("99999999999")), "", 0},
		"DURATION, annotated":            {running(func(p *corev1.Pod) { duration("30")(p); annotated(completeAfter, "1s")(p) }), "pod-complete", time.Second},
		"DURATION, badly annotated":      {running(func(p *corev1.Pod) { duration("30")(p); annotated(completeAfter, "soon")(p) }), "pod-complete", 30 * time.Second},
		"DURATION, restarted always": {running(func(p *corev1.Pod) {
			duration("30")(p)
			p.Spec.RestartPolicy = corev1.RestartPolicyAlways
		}), "", 0},
		"DURATION of the second container": {running(func(p *corev1.Pod) {
			duration("30")(p)
			p.Spec.Containers = append([]corev1.Container{{Name: "first"}}, p.Spec.Containers...)
		}), "", 0},
		"succeeded":                  {running(func(p *corev1.Pod) { duration("30")(p); p.Status.Phase = corev1.PodSucceeded }), "", 0},
		"deleted":                    {deleted(long, nothing), "pod-delete", 50 * time.Millisecond},
		"deleted while it runs":      {deleted(long, duration("30")), "pod-delete", 50 * time.Millisecond},
		"deleted, slow":              {deleted(long, annotated(stopAfter, "1m1.5s")), "pod-delete", 61500 * time.Millisecond},
		"deleted, badly annotated":   {deleted(long, annotated(stopAfter, "later")), "pod-delete", 50 * time.Millisecond},
		"deleted, slow beyond grace": {deleted(long, annotated(stopAfter, "2h")), "pod-delete", long},
		"deleted, grace is over":     {deleted(-long, annotated(stopAfter, "2h")), "pod-delete", 0},
		"deleted, held":              {deleted(long, func(p *corev1.Pod) { p.Finalizers = []string{"a/b"} }), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			event := &lifecycle.Event{Labels: test.pod.Labels, Annotations: test.pod.Annotations, Data: test.pod}
			possible, err := lc.ListAllPossible(t.Context(), event)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, stage := range possible {
				names = append(names, stage.Name())
			}
			if got := strings.Join(names, ","); got != test.stage {
				t.Fatalf("stages %q, want %q", got, test.stage)
			}
			if test.stage == "" {
				return
			}
			delay, _, err := possible[0].Delay(t.Context(), event, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			// What is measured against the clock may be off by the time the
			// test takes, and by deletionTimestamp's whole seconds.
			if off := test.delay - delay; off < 0 || off > time.Minute || (off > 0 && delay != 0 && test.delay != long) {
				t.Errorf("delay %v, want %v", delay, test.delay)
			}
		})
	}
}
