package main

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"golang.org/x/sys/unix"
)

func TestCapabilities(t *testing.T) {
	yes := true
	container := func(add, drop []corev1.Capability) *corev1.Container {
		return &corev1.Container{SecurityContext: &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: add, Drop: drop}}}
	}
	for name, test := range map[string]struct {
		container *corev1.Container
		with      []int
		without   []int
	}{
		"plain": {&corev1.Container{}, []int{unix.CAP_KILL, unix.CAP_SETFCAP}, []int{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_SYS_PTRACE}},
		"added": {container([]corev1.Capability{"NET_ADMIN"}, nil), []int{unix.CAP_NET_ADMIN, unix.CAP_KILL}, []int{unix.CAP_SYS_ADMIN}},
		"one":   {container([]corev1.Capability{"CAP_SYS_PTRACE"}, []corev1.Capability{"ALL"}), []int{unix.CAP_SYS_PTRACE}, []int{unix.CAP_KILL, unix.CAP_CHOWN}},
		"all":   {container([]corev1.Capability{"ALL"}, nil), []int{unix.CAP_CHECKPOINT_RESTORE, unix.CAP_CHOWN}, nil},
		"none":  {container(nil, []corev1.Capability{"ALL"}), nil, []int{unix.CAP_CHOWN}},
	} {
		got := capabilities(test.container)
		if got == nil {
			t.Errorf("%s: got nil, which stands for a privileged container", name)
		}
		for _, c := range test.with {
			if !slices.Contains(got, c) {
				t.Errorf("%s: got %v, want %d among them", name, got, c)
			}
		}
		for _, c := range test.without {
			if slices.Contains(got, c) {
				t.Errorf("%s: got %v, want no %d", name, got, c)
			}
		}
	}
	if got := capabilities(&corev1.Container{SecurityContext: &corev1.SecurityContext{Privileged: &yes}}); got != nil {
		t.Errorf("privileged: got %v, want nil", got)
	}
}

func TestLastLines(t *testing.T) {
	for _, test := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""}, {"a\nb\n", 1, "b\n"}, {"a\nb", 1, "b"}, {"a\nb\n", 2, "a\nb\n"}, {"a\nb\n", 9, "a\nb\n"}, {"a\nb\n", 0, ""}, {"\n\n", 1, "\n"},
	} {
		if got := lastLines(test.text, test.n); got != test.want {
			t.Errorf("last %d of %q: got %q, want %q", test.n, test.text, got, test.want)
		}
	}
}

func TestPickKeys(t *testing.T) {
	data := map[string][]byte{"a": []byte("1"), "b": []byte("2")}
	if got, err := pickKeys(data, nil, false); err != nil || len(got) != 2 {
		t.Errorf("all: got %v, %v", got, err)
	}
	got, err := pickKeys(data, []corev1.KeyToPath{{Key: "b", Path: "x/y"}}, false)
	if err != nil || len(got) != 1 || string(got["x/y"]) != "2" {
		t.Errorf("one: got %v, %v", got, err)
	}
	missing := []corev1.KeyToPath{{Key: "c", Path: "c"}}
	if got, err := pickKeys(data, missing, false); err == nil || !strings.Contains(err.Error(), `key "c" is not there`) {
		t.Errorf("missing: got %v, %v", got, err)
	}
	if got, err := pickKeys(data, missing, true); err != nil || got == nil || len(got) != 0 {
		t.Errorf("missing and optional: got %v, %v, want none, and read-only", got, err)
	}
}
