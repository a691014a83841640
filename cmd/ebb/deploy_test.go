package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// TestDeploy applies every manifest in deploy/ as it is: what only gives rights is there for the rest of
// the test, and what would start pods is checked by the API server. The commands in them are those of
// the program.
func TestDeploy(t *testing.T) {
	t.Parallel()
	client := as(t, "", "")
	files, err := filepath.Glob("../../deploy/*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("got %q, %v, want the manifests", files, err)
	}
	// Namespaces first, as kubectl apply -k does.
	slices.SortFunc(files, func(a, b string) int {
		return strings.Compare(strings.Replace(a, "store", "", 1), strings.Replace(b, "store", "", 1))
	})
	for _, file := range files {
		if filepath.Base(file) != "kustomization.yaml" {
			for _, object := range documents(t, file) {
				deploy(t, client, file, object)
			}
		}
	}
	t.Run("rights", storeRights)
	t.Run("policy", storePolicy)
	t.Run("operations", operations)
}

// as is a client of an account in a namespace, or of the administrator.
func as(t *testing.T, namespace, account string) *kube.Client {
	t.Helper()
	client, err := kube.New(configAs(t, namespace, account), kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func configAs(t *testing.T, namespace, account string) *rest.Config {
	t.Helper()
	config, err := kube.LoadConfig(sandboxtest.Kubeconfig(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if account != "" {
		config.Impersonate = rest.ImpersonationConfig{
			UserName: "system:serviceaccount:" + namespace + ":" + account,
			Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
		}
	}
	return config
}

func documents(t *testing.T, file string) (objects []kube.Object) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var object kube.Object
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
}

func deploy(t *testing.T, client *kube.Client, file string, object kube.Object) {
	t.Helper()
	meta := kube.Meta(object)
	kind, err := client.Resolve(t.Context(), meta.GetAPIVersion(), meta.GetKind())
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	ctx := t.Context()
	switch meta.GetKind() {
	case "Deployment", "Job", "CronJob":
		ctx = kube.WithDryRun(ctx)
	}
	if _, err := client.Apply(ctx, kind, meta.GetNamespace(), meta.GetName(), object, "ebb-test", true); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	for _, args := range argsOf(object) {
		checkParses(t, file, args)
	}
}

// checkParses: a command that is written somewhere is one of the program's.
func checkParses(t *testing.T, where string, args []string) {
	t.Helper()
	looking.Lock()
	defer looking.Unlock()
	var out, errs bytes.Buffer
	if code := ebb(append([]string{"ebb", args[0], "--help"}, args[1:]...), &out, &errs); code != 0 {
		t.Errorf("%s: ebb %s: exit code %d: %s", where, strings.Join(args, " "), code, errs.String())
	}
}

// TestOperations: the commands in docs/operations.md are the program's, the manifests are those in
// deploy/, and what is made by hand is what they mount.
func TestOperations(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	manifests := ""
	files, err := filepath.Glob("../../deploy/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		manifests += string(data)
	}
	made := regexp.MustCompile(`^kubectl -n (\S+) create (secret generic|configmap) (\S+) --from-file=(\S+)`)
	ours, applied, byHand := 0, 0, 0
	code := false
	for _, line := range strings.Split(string(doc), "\n") {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
		case !code:
		case strings.HasPrefix(line, "ebb "):
			checkParses(t, "docs/operations.md", words[1:])
			ours++
		case strings.HasPrefix(line, "kubectl apply "):
			if _, err := os.Stat("../../" + words[len(words)-1]); err != nil {
				t.Errorf("docs/operations.md: %s: %v", line, err)
			}
			applied++
		case strings.HasPrefix(line, "kubectl "):
			found := made.FindStringSubmatch(line)
			if found == nil || !strings.Contains(manifests, "ame: "+found[3]+"\n") || !strings.Contains(manifests, "namespace: "+found[1]+"\n") {
				t.Errorf("docs/operations.md: %s: nothing in deploy/ uses it", line)
			}
			byHand++
		}
	}
	if ours < 4 || applied < 2 || byHand < 3 {
		t.Errorf("docs/operations.md has %d commands of ebb's, applies %d manifests and makes %d objects: it was read wrongly", ours, applied, byHand)
	}
}

// argsOf finds the commands of containers.
func argsOf(v any) (all [][]string) {
	switch v := v.(type) {
	case kube.Object:
		if args, ok := v["args"].([]any); ok && v["image"] != nil {
			var words []string
			for _, arg := range args {
				words = append(words, arg.(string))
			}
			all = append(all, words)
		}
		for _, value := range v {
			all = append(all, argsOf(value)...)
		}
	case []any:
		for _, value := range v {
			all = append(all, argsOf(value)...)
		}
	}
	return all
}

// storeRights does what a store is for with the rights in deploy/store.yaml, and no others: the runner
// writes, the replayer reads and marks.
func storeRights(t *testing.T) {
	key, err := clusterstore.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	open := func(namespace, account string, o clusterstore.Options) *clusterstore.Store {
		t.Helper()
		o.Cluster, o.Patience = configAs(t, namespace, account), time.Minute
		s, err := clusterstore.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	s := open("ebb-run", "ebb-runner", clusterstore.Options{SigningKey: key})
	id := uuid.NewString()
	e, err := s.Begin(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	err = e.Probe(t.Context())
	f, flushErr := e.Flush(t.Context(), "pod", []byte("x"))
	if err = errors.Join(err, flushErr, e.Close()); err != nil {
		t.Fatal(err)
	}
	replayer := open("ebb", "ebb-replayer", clusterstore.Options{PublicKeys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}})
	if e, err = replayer.Open(t.Context(), f.Execution); err != nil {
		t.Fatal(err)
	}
	content, readErr := e.Read(t.Context(), f)
	done, markErr := e.MarkExecuted(t.Context(), f)
	_, _, lookErr := replayer.Look(t.Context())
	err = errors.Join(readErr, markErr, lookErr, replayer.Append(t.Context(), versions.Entry{Event: versions.EventMarked}), e.Remove(t.Context(), done), e.Close())
	if err != nil || string(content) != "x" {
		t.Errorf("got %q, %v", content, err)
	}
	if listing, err := replayer.List(t.Context(), versions.Filter{RunUUID: id}); err != nil || len(listing.Executions) != 0 {
		t.Errorf("got %v, %v, want nothing left", listing, err)
	}
	// Who replays must not be able to sign.
	secrets := kube.Resource{Version: "v1", Kind: "Secret", Plural: "secrets", Namespaced: true}
	if _, err := as(t, "ebb", "ebb-replayer").Get(t.Context(), secrets, "ebb-run", "ebb-signing-key"); !apierrors.IsForbidden(err) {
		t.Errorf("the replayer reads the private key: got %v, want it forbidden", err)
	}
}

// storePolicy: nobody but the runner makes version files, whatever his rights, and nobody makes one that
// can be changed.
func storePolicy(t *testing.T) {
	secrets := kube.Resource{Version: "v1", Kind: "Secret", Plural: "secrets", Namespaced: true}
	create := func(client *kube.Client, name, kind string, immutable bool) error {
		_, err := client.Create(t.Context(), secrets, "ebb", kube.Object{
			"metadata": kube.Object{"name": name}, "type": kind, "immutable": immutable,
		})
		if err == nil {
			err = client.Delete(t.Context(), secrets, "ebb", name, kube.DeleteOptions{})
		}
		return err
	}
	denied := func(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) }
	admin, runner, replayer := as(t, "", ""), as(t, "ebb-run", "ebb-runner"), as(t, "ebb", "ebb-replayer")
	const file = "ebb.dev/version-file"
	if !eventually(func() bool { return denied(create(admin, "planted-by-admin", file, true)) }) { // it takes a moment
		t.Fatal("an administrator can plant a version file")
	}
	for _, test := range []struct {
		who       string
		client    *kube.Client
		kind      string
		immutable bool
		denied    bool
	}{
		{"the replayer", replayer, file, true, true},
		{"the runner, one that can be changed", runner, file, false, true},
		{"the runner", runner, file, true, false},
		{"the replayer, a fence", replayer, "ebb.dev/fence", true, false},
	} {
		name := "test-" + strings.ReplaceAll(strings.ReplaceAll(test.who, " ", "-"), ",", "")
		if err := create(test.client, name, test.kind, test.immutable); denied(err) != test.denied || err != nil && !denied(err) {
			t.Errorf("%s: got %v, want it denied: %t", test.who, err, test.denied)
		}
	}
	checkImmutable(t, admin, runner, denied)
}

// checkImmutable: nobody changes what a version file says that it is, or has one undone a second time.
func checkImmutable(t *testing.T, admin, runner *kube.Client, denied func(error) bool) {
	secrets, name := kube.Resource{Version: "v1", Kind: "Secret", Plural: "secrets", Namespaced: true}, "ebb-test-of-the-policy-1"
	labels := kube.Object{"ebb.dev/state": "pending", "ebb.dev/execution": "test"}
	_, err := runner.Create(t.Context(), secrets, "ebb", kube.Object{
		"metadata": kube.Object{"name": name, "labels": labels, "annotations": kube.Object{"ebb.dev/execution-id": "a", "ebb.dev/file": "b", "ebb.dev/holder": "c"}},
		"type":     "ebb.dev/version-file", "immutable": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what, key, label string
		value            any
		denied           bool
	}{
		{"another execution", "labels", "ebb.dev/execution", "other", true},
		{"no execution", "labels", "ebb.dev/execution", nil, true},
		{"a label more", "labels", "ebb.dev/cluster-uid", "other", true},
		{"another file", "annotations", "ebb.dev/file", "other", true},
		{"no file", "annotations", "ebb.dev/file", nil, true},
		{"a state that there is not", "labels", "ebb.dev/state", "done", true},
		{"a note of a person", "annotations", "note", "look at this", false},
		{"executed", "labels", "ebb.dev/state", "executed", false},
		{"pending again", "labels", "ebb.dev/state", "pending", true},
	} {
		_, err := admin.Patch(t.Context(), secrets, "ebb", name, kube.Object{"metadata": kube.Object{test.key: kube.Object{test.label: test.value}}}, kube.PatchOptions{})
		if denied(err) != test.denied || err != nil && !denied(err) {
			t.Errorf("%s: got %v, want it denied: %t", test.what, err, test.denied)
		}
	}
	if err := admin.Delete(t.Context(), secrets, "ebb", name, kube.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}
