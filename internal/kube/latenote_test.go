package kube

import (
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// What was answered at the second attempt may still come a second time. Not where a
// precondition fails then, and not where the first was seen to have landed.
func TestLateNote(t *testing.T) {
	t.Parallel()
	direct := admin(t)
	for verb, v := range verbCases {
		for name, c := range map[string]struct {
			faults []sandboxtest.Fault
			told   bool
		}{
			"no fault":    {nil, false},
			"turned away": {[]sandboxtest.Fault{sandboxtest.Refuse(429, 0)}, false},
			"landed":      {[]sandboxtest.Fault{sandboxtest.DropAnswer}, verb == "apply"}, // it is sent again
			"lost":        {[]sandboxtest.Fault{sandboxtest.Drop}, true},
			"two lost":    {[]sandboxtest.Fault{sandboxtest.Drop, sandboxtest.DropAnswer}, true},
		} {
			t.Run(verb+"/"+name, func(t *testing.T) {
				t.Parallel()
				ns := sandboxtest.Namespace(t)
				proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
				client := open(t, file, Options{firstPause: time.Millisecond})
				before := reset(t, direct, ns)
				proxy.Script(v.method, c.faults...)
				told := false
				if err := v.do(WithLateNote(t.Context(), func() { told = true }), client, ns, before); err != nil {
					t.Fatal(err)
				}
				harmless := verb == "patch of a version" || verb == "delete of a UID"
				if want := c.told && !harmless; told != want {
					t.Errorf("told: %v, want %v", told, want)
				}
			})
		}
	}
}
