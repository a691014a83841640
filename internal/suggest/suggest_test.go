package suggest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	known := []string{"auto_rollback", "port", "kubeconfig_path", "node-selector"}
	for _, test := range []struct{ name, want string }{
		{"auto_rolback", "auto_rollback"}, {"autoRollback", "auto_rollback"}, {"auto-rollback", "auto_rollback"},
		{"prot", "port"}, {"port", ""}, {"PORT", "port"}, {"node_selector", "node-selector"}, {"kubeconfig", ""}, {"x", ""}, {"", ""},
		{strings.Repeat("x", 1<<20), ""},
	} {
		if got := Nearest(test.name, known); got != test.want {
			t.Errorf("%.20q: got %q, want %q", test.name, got, test.want)
		}
	}
}

// A name is found again after any single slip of the pen.
func TestSlips(t *testing.T) {
	known := []string{"kubeconfig_path", "auto_rollback", "chaos_scenarios", "signal_address"}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SampledFrom(known).Draw(t, "name")
		i := rapid.IntRange(0, len(want)-2).Draw(t, "at")
		slips := []string{
			want[:i] + want[i+1:],
			want[:i] + "x" + want[i:],
			want[:i] + "x" + want[i+1:],
			want[:i] + want[i+1:i+2] + want[i:i+1] + want[i+2:],
			strings.ToUpper(want),
		}
		name := rapid.SampledFrom(slips).Draw(t, "slip")
		if name == want {
			t.Skip("it swapped two that are equal")
		}
		if got := Nearest(name, known); got != want {
			t.Fatalf("%q: got %q, want %q", name, got, want)
		}
	})
}
