package kube

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestVerbs(t *testing.T) {
	t.Parallel()
	c, ns, ctx := admin(t), sandboxtest.Namespace(t), t.Context()

	made := mustCreate(t, c, configMap, ns, settings("a", "1"))
	if made["kind"] != "ConfigMap" || made["apiVersion"] != "v1" || uid(made) == "" {
		t.Errorf("create returned %v", made)
	}
	if _, err := c.Create(ctx, configMap, ns, settings("a", "1")); reason(err) != "AlreadyExists" {
		t.Errorf("create again: got %v, want AlreadyExists: only a lost answer makes an equal object ours", err)
	}
	patched, err := c.Patch(ctx, configMap, ns, "a", Object{"data": Object{"value": nil, "n": "2"}}, PatchOptions{UID: uid(made), ResourceVersion: Meta(made).GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	if data := patched["data"].(Object); data["value"] != nil || data["n"] != "2" {
		t.Errorf("patch returned data %v", data)
	}
	applied, err := c.Apply(ctx, configMap, ns, "b", Object{"metadata": Object{"labels": Object{"x": "y"}}, "data": Object{"value": "3"}}, "ebb", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(ctx, configMap, ns, "b", Object{"data": Object{"value": "4"}}, "somebody", false); reason(err) != "Conflict" {
		t.Errorf("apply by another manager: got %v, want a conflict", err)
	}
	if _, err := c.Apply(ctx, configMap, ns, "b", Object{"data": Object{"value": "4"}}, "somebody", true); err != nil {
		t.Error(err)
	}
	list, err := c.List(ctx, configMap, ns, ListOptions{LabelSelector: "x=y"})
	if err != nil || len(list) != 1 || Meta(list[0]).GetName() != "b" || list[0]["kind"] != "ConfigMap" {
		t.Errorf("list by label: %v, %v", list, err)
	}
	list, err = c.List(ctx, configMap, ns, ListOptions{FieldSelector: "metadata.name=a"})
	if err != nil || len(list) != 1 || Meta(list[0]).GetName() != "a" {
		t.Errorf("list by field: %v, %v", list, err)
	}
	for _, obj := range append(list, made, patched, applied) {
		if len(Meta(obj).GetManagedFields()) > 0 {
			t.Errorf("%v has managedFields", Meta(obj).GetName())
		}
	}
	if err := c.Delete(ctx, configMap, ns, "a", DeleteOptions{UID: uid(made)}); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(ctx, configMap, ns, "a"); reason(err) != "NotFound" || err.Error() != `get configmaps "a" in namespace "`+ns+`": not found (404)` {
		t.Errorf("get after delete: %v", err)
	}
	if err := c.Delete(ctx, configMap, ns, "a", DeleteOptions{}); reason(err) != "NotFound" {
		t.Errorf("delete of nothing: %v", err)
	}
}

func TestDeletePodWithGrace(t *testing.T) {
	t.Parallel()
	c, ns, ctx := admin(t), sandboxtest.Namespace(t), t.Context()
	mustCreate(t, c, podKind, ns, Object{
		"metadata": Object{"name": "p", "finalizers": []any{"ebb.dev/test"}},
		"spec":     Object{"containers": []any{Object{"name": "c", "image": "none"}}},
	})
	if err := c.Delete(ctx, podKind, ns, "p", DeleteOptions{GraceSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	p, err := c.Get(ctx, podKind, ns, "p")
	if err != nil || Meta(p).GetDeletionTimestamp() == nil || *Meta(p).GetDeletionGracePeriodSeconds() != 0 {
		t.Errorf("pod held by a finalizer: %v, %v", p["metadata"], err)
	}
	if _, err := c.Patch(ctx, podKind, ns, "p", Object{"metadata": Object{"finalizers": nil}}, PatchOptions{}); err != nil {
		t.Error(err)
	}
}

func TestClusterUID(t *testing.T) {
	t.Parallel()
	kubeconfig := sandboxtest.Kubeconfig(t)
	proxy, file := sandboxtest.FaultProxy(t, kubeconfig)
	c := open(t, file, Options{})
	first, err := c.ClusterUID(t.Context())
	if err != nil || len(first) != 36 {
		t.Fatalf("got %q, %v", first, err)
	}
	second, err := c.ClusterUID(t.Context())
	if err != nil || second != first || len(proxy.Requests()) != 1 {
		t.Errorf("got %q, %v after %v, want it cached", second, err, proxy.Requests())
	}
	alice, _ := sandboxtest.User(t, sandboxtest.Namespace(t), "get:pods")
	if got, err := open(t, alice, Options{}).ClusterUID(t.Context()); got != "" || reason(err) != "Forbidden" {
		t.Errorf("without rights: got %q, %v", got, err)
	}
}

func TestCan(t *testing.T) {
	t.Parallel()
	ns := sandboxtest.Namespace(t)
	kubeconfig, _ := sandboxtest.User(t, ns, "get,delete:pods")
	c := open(t, kubeconfig, Options{})
	for _, test := range []struct {
		verb, group, resource, subresource, namespace string
		want                                          bool
	}{
		{"delete", "", "pods", "", ns, true},
		{"create", "", "pods", "", ns, false},
		{"get", "", "pods", "log", ns, false},
		{"delete", "", "pods", "", "default", false},
		{"get", "apps", "pods", "", ns, false},
	} {
		got, _, err := c.Can(t.Context(), test.verb, test.group, test.resource, test.subresource, test.namespace, "")
		if err != nil || got != test.want {
			t.Errorf("%+v: got %v, %v", test, got, err)
		}
	}
}

func TestForbiddenNamesVerbResourceUser(t *testing.T) {
	t.Parallel()
	ns := sandboxtest.Namespace(t)
	kubeconfig, user := sandboxtest.User(t, ns, "get:pods")
	proxy, file := sandboxtest.FaultProxy(t, kubeconfig)
	c := open(t, file, Options{})
	err := c.Delete(t.Context(), podKind, ns, "p", DeleteOptions{})
	if want := `user "` + user + `" may not delete pods in namespace "` + ns + `" (403)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if r, code := catch(err); r != "Forbidden" || code != 403 {
		t.Errorf("caught %q, %d", r, code)
	}
	if n := len(proxy.Requests()); n != 1 {
		t.Errorf("got %d requests, want 1: %v", n, proxy.Requests())
	}
}

func TestQuotaKeepsTheServersMessage(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	quota, err := c.Resolve(t.Context(), "", "ResourceQuota")
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, c, quota, ns, Object{"metadata": Object{"name": "none"}, "spec": Object{"hard": Object{"count/secrets": "0"}}})
	secret, err := c.Resolve(t.Context(), "v1", "Secret")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "quota in force", func() bool {
		name := "s-" + strings.ToLower(t.Name())
		_, err = c.Create(t.Context(), secret, ns, Object{"metadata": Object{"name": name}})
		if err == nil {
			err = c.Delete(t.Context(), secret, ns, name, DeleteOptions{})
			return false
		}
		return strings.Contains(err.Error(), "exceeded quota: none") && reason(err) == "Forbidden"
	})
}

func TestUnauthorizedSaysLogIn(t *testing.T) {
	t.Parallel()
	c := open(t, asUser(t, &clientcmdapi.AuthInfo{Token: "nobody"}), Options{})
	_, err := c.Get(t.Context(), configMap, "default", "a")
	if r, code := catch(err); r != "Unauthorized" || code != 401 || !strings.HasSuffix(err.Error(), "were refused (401)") || len(hintsOf(err)) != 1 {
		t.Errorf("got %v (%s, %d)", err, r, code)
	}
}

func TestCredentialPluginFailsAtOnce(t *testing.T) {
	t.Parallel()
	c := open(t, asUser(t, &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: "ebb-no-such-plugin", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}}), Options{})
	_, err := c.Create(t.Context(), configMap, "default", settings("a", "1"))
	if reason(err) != "Credentials" || !strings.Contains(err.Error(), "ebb-no-such-plugin") {
		t.Errorf("got %v (%s)", err, reason(err))
	}
}

func TestForeignCertificateFailsAtOnce(t *testing.T) {
	t.Parallel()
	kubeconfig := sandboxtest.Kubeconfig(t)
	_, file := sandboxtest.FaultProxy(t, kubeconfig)
	_, other := sandboxtest.FaultProxy(t, kubeconfig)
	theirs := open(t, other, Options{})
	ours, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mine := open(t, file, Options{})
	c := open(t, kubeconfigOf(t, strings.ReplaceAll(string(ours), mine.Server(), theirs.Server())), Options{})
	_, err = c.Get(t.Context(), configMap, "default", "a")
	if reason(err) != "Untrusted" {
		t.Errorf("got %v (%s)", err, reason(err))
	}
}

func TestLoadConfigExplains(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	two := kubeconfigOf(t, `{apiVersion: v1, kind: Config, current-context: lost,
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], users: [{name: u, user: {}}],
contexts: [{name: prod, context: {cluster: c, user: u}}, {name: dev, context: {cluster: gone, user: u}}]}`)
	for _, test := range []struct {
		name, file, context, env string
		want, hint               string
	}{
		{"missing", missing, "", "", `kubeconfig "` + missing + `": no such file`, ""},
		{"missing, KUBECONFIG set", missing, "", two, `kubeconfig "` + missing + `": no such file`, "not used because another file was named"},
		{"garbage", kubeconfigOf(t, "\tno: [yaml"), "", "", `kubeconfig "`, ""},
		{"a directory", dir, "", "", `kubeconfig "` + dir + `": not a regular file`, ""},
		{"current context", two, "", "", `no context "lost": it has "dev", "prod"`, ""},
		{"unknown context", two, "production", "", `no context "production": it has "dev", "prod"`, ""},
		{"no cluster", two, "dev", "", `context "dev": no cluster "gone" in the file`, ""},
		{"no kubeconfig", kubeconfigOf(t, "ready\n"), "", "", `not a kubeconfig: want YAML or JSON with apiVersion and kind`, ""},
		{"context of an empty file", kubeconfigOf(t, ""), "x", "", `no context "x": it has none`, ""},
		{"nothing at all", "", "", missing, `kubeconfig "` + missing + `": none found`, "KUBECONFIG is set to " + missing},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", test.env)
			_, err := LoadConfig(test.file, test.context)
			var unusable *ConfigError
			if !errors.As(err, &unusable) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %T %v, want %s", err, err, test.want)
			}
			hints := strings.Join(unusable.Hints(), "\n")
			if !strings.Contains(hints, test.hint) || (test.hint == "") != (hints == "") {
				t.Errorf("got the hints %q, want %q", hints, test.hint)
			}
		})
	}
	config, err := LoadConfig(two, "prod")
	if err != nil || config.Host != "https://127.0.0.1:1" {
		t.Errorf("got %v, %v", config, err)
	}
}

// asUser returns the sandbox's kubeconfig with other credentials.
func asUser(t testing.TB, user *clientcmdapi.AuthInfo) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(sandboxtest.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo] = user
	text, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfigOf(t, string(text))
}

// kubeconfigOf writes a kubeconfig of mode 0600.
func kubeconfigOf(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
