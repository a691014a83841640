package builtins_test

import (
	"testing"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func TestCan(t *testing.T) {
	t.Parallel()
	kubeconfig, _ := sandboxtest.User(t, "default", "get:pods", "create:pods/exec", "patch:networkpolicies.networking.k8s.io")
	h := newHost(t, builtins.Verify, kubeconfig)
	for _, test := range []struct{ call, want string }{
		{`k8s.can("get", "pods", "default")`, "True"},
		{`k8s.can("get", "pods")`, "False"}, // not in all namespaces
		{`k8s.can("get", "pods", "kube-system")`, "False"},
		{`k8s.can("delete", "pods", "default")`, "False"},
		{`k8s.can("create", "pods/exec", "default")`, "True"},
		{`k8s.can("create", "pods", "default")`, "False"},
		{`k8s.can("patch", "networkpolicies.networking.k8s.io", "default")`, "True"},
		{`k8s.can("patch", "networkpolicies", "default")`, "False"}, // of another group
	} {
		if got := h.mustRun(t, "def main(): return "+test.call).String(); got != test.want {
			t.Errorf("%s is %s, want %s", test.call, got, test.want)
		}
	}
}
