package main

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// What nobody may print or write, by where it comes from. None is part of another word.
var markers = map[string]string{
	"token of a credential plugin": "hush-plugin-token", "password in the server's URL": "hush-url-password", "inline kubeconfig": "hush-inline-token",
	"token of a bad kubeconfig": "hush-bad-token", "Secret in the cluster": "hush-cluster-secret", "Secret's last applied manifest": "hush-applied-secret",
	"Secret that a script makes": "hush-made-secret", "Secret that is patched": "hush-patched-secret", "environment of a pod": "hush-pod-variable",
	"AWS key": "hush-aws-secret-key", "AWS session": "hush-aws-session+token/x==", "GCP client": "hush-gcp-client", "GCP refresh token": "hush-gcp-refresh",
	"GCP access token": "hush-gcp-access-token", "HTTP header": "hush-http-header", "HTTP body": "hush-http-body", "URL that is loaded": "hush-http-password",
	"header in the wrong place": "hush-misplaced-header", "environment variable": "hush-environment", "proxy's password": "hush-proxy-password",
}

// secretSteps prints, catches, keeps and sends all that it can get hold of.
const secretSteps = `
scenario = Scenario(
    type = "secret_scenarios",
    help = "handles what must not be seen",
    fields = {
        "namespace": field(required = True),
        "password": field(secret = True),
        "fail": field(type = "bool", default = False),
        "duration": field(type = "duration", default = 0),
    },
    rights = [],
)

def run(config):
    ns, name = config.namespace, random_name("s-", 8)
    said = []
    secret = k8s.get("Secret", "theirs", ns)
    said.append(str(secret))
    said.append("%r" % k8s.list("Secret", ns))
    for refused in [
        attempt(k8s.get, "ConfigMap", "echo", ns),
        attempt(k8s.list, "Deployment", ns),
        attempt(k8s.exec, "echo", ns, ["true"], read_only = True),
        attempt(cloud.aws.describe, ["i-0123456789abcdef0"]),
        attempt(cloud.gcp.describe, ["p/z/i"]),
        attempt(k8s.get, "ConfigMap", "busy", ns),
    ]:
        if refused.ok:
            fail("nobody refused")
        said.append(refused.error.message)
    for line in said:
        log.debug(line)
        log.info(line)
    set_rollback_callable(
        rollback,
        RollbackContent(namespace = ns, resource_identifier = name, said = said, keys = list(secret["data"])),
        verify = verify,
        undoes = [ref("Secret", name, ns), ref("Pod", name, ns), ref("Secret", "theirs", ns)],
    )
    made = k8s.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": ns}, "stringData": {"password": config.password}})
    log.info(made)
    bad = attempt(k8s.create, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": ns}, "spec": {"containers": [
        {"name": "C!", "image": "x", "env": [{"name": "PASSWORD", "value": "hush-pod-variable"}]},
    ]}})
    log.warning(bad.error.message)
    if config.fail:
        set_rollback_callable(rollback, RollbackContent(namespace = ns, resource_identifier = "x", said = said, secret = secret), verify = verify, undoes = [ref("Pod", "x", ns)])
    log.info(k8s.patch("Secret", "theirs", {"stringData": {"other": "hush-patched-secret"}}, ns))
    time.sleep(config.duration, "waiting with secrets")

def rollback(rollback_content):
    ns = rollback_content.namespace
    for line in rollback_content.said:
        log.info(line)
    log.info(k8s.get("Secret", "theirs", ns))
    k8s.patch("Secret", "theirs", {"stringData": {"other": "hush-" + "patched-secret"}}, ns)
    k8s.patch("Secret", "theirs", {"data": {"other": None}}, ns)
    k8s.delete("Secret", rollback_content.resource_identifier, ns, owned = True, ignore_not_found = True)

def verify(rollback_content):
    other = k8s.get("Secret", "theirs", rollback_content.namespace)["data"].get("other")
    if other != None:
        fail("got", other)
`

// secretsTest is a directory with secrets all around, and what ebb said in it.
type secretsTest struct {
	*testing.T
	dir       string
	namespace string
	server    *echoProxy
	env       []string
	output    bytes.Buffer
}

func (v *secretsTest) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

func (v *secretsTest) write(name, content string) string {
	v.Helper()
	path := filepath.Join(v.dir, name)
	v.must(os.MkdirAll(filepath.Dir(path), 0o700))
	v.must(os.WriteFile(path, []byte(content), 0o700))
	return path
}

func (v *secretsTest) command(args ...string) *exec.Cmd {
	if args[0] == "run" {
		// What a gateway answers is waited out as an outage is.
		args = slices.Insert(args, 1, "--timeout", "2s")
	}
	cmd := exec.CommandContext(v.Context(), "ebb", args...)
	cmd.Dir, cmd.Env = v.dir, v.env
	return cmd
}

// ebb runs a command, keeps what it says, and checks how it ended.
func (v *secretsTest) ebb(code int, args ...string) string {
	v.Helper()
	out, err := v.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		v.Fatal(err)
	}
	got := 0
	if exit != nil {
		got = exit.ExitCode()
	}
	if got != code {
		v.Errorf("ebb %q: got exit code %d, want %d:\n%s", args, got, code, out)
	}
	fmt.Fprintf(&v.output, "--- ebb %s: %d\n%s", args[0], got, out)
	return string(out)
}

const secretConfig = `
kraken:
  kubeconfig_path: kubeconfig
  rollback_versions_directory: versions
  scenario_scripts_directory: scripts
  chaos_scenarios:
    - %s: [%s]
tunings: {wait_duration: 0}
`

// TestNoSecretInOutput runs, fails, is killed, plans, replays and tells of it, with secrets everywhere and a server that repeats what it is
// sent. None of them is in any output, at any level, nor in any file that ebb wrote.
func TestNoSecretInOutput(t *testing.T) {
	t.Parallel()
	v := newSecretsTest(t)
	v.runs()
	v.killed()
	v.mistakes()
	v.loads()
	out := v.ebb(0, "execute-rollback", "--config", "config.yaml", "--log-level", "debug", "-o", "json", "--report", "written/replayed")
	if !strings.Contains(out, `"restored"`) {
		t.Errorf("want the killed run restored, got:\n%s", out)
	}
	v.ebb(0, "history", "--config", "config.yaml")
	v.ebb(0, "history", "--config", "config.yaml", "-o", "json")
	v.files()
	v.search()
}

// newSecretsTest has a Secret in the cluster, and secrets in the kubeconfig, the environment and the scenario.
func newSecretsTest(t *testing.T) *secretsTest {
	v := &secretsTest{T: t, dir: t.TempDir(), namespace: sandboxtest.Namespace(t), server: newEchoProxy(t)}
	secrets := adminClient(t).Resource(kinds["configmaps"].GroupVersion().WithResource("secrets")).Namespace(v.namespace)
	if _, err := secrets.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "stringData": map[string]any{"password": "hush-cluster-secret"},
		"metadata": map[string]any{"name": "theirs", "annotations": map[string]any{
			"kubectl.kubernetes.io/last-applied-configuration": `{"stringData":{"password":"hush-applied-secret"}}`,
		}},
	}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	plugin := v.write("plugin", "#!/bin/sh\n"+`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"hush-plugin-token"}}'`+"\n")
	v.kubeconfig("kubeconfig", v.server.secure.URL, fmt.Sprintf("{exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}}", plugin))
	credentials := v.write("gcp.json", fmt.Sprintf(`{"type":"authorized_user","client_id":"c","client_secret":"hush-gcp-client","refresh_token":"hush-gcp-refresh","token_uri":"%s/token"}`, v.server.plain.URL))
	v.env = append(os.Environ(), "AWS_ENDPOINT_URL_EC2="+v.server.plain.URL+"/aws", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIAEXAMPLE",
		"AWS_SECRET_ACCESS_KEY=hush-aws-secret-key", "AWS_SESSION_TOKEN=hush-aws-session+token/x==", "AWS_EC2_METADATA_DISABLED=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE="+v.server.plain.URL+"/gcp/", "GOOGLE_APPLICATION_CREDENTIALS="+credentials, "MY_PASSWORD=hush-environment")
	v.write("scripts/secrets.star", secretSteps)
	v.write("config.yaml", fmt.Sprintf(secretConfig, "secret_scenarios", "secret.yaml"))
	v.write("written/README", "Reports and plans.")
	return v
}

// kubeconfig writes a file NAME that reaches a server as a user.
func (v *secretsTest) kubeconfig(name, address, user string) {
	v.Helper()
	authority := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.server.secure.Certificate().Raw}))
	v.write(name, fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: %s}]
`, address, authority, user))
}

// scenario writes the scenario file, with more lines.
func (v *secretsTest) scenario(more string) {
	v.Helper()
	v.write("secret.yaml", fmt.Sprintf("namespace: %s\npassword: hush-made-secret\n%s\n", v.namespace, more))
}

// runs is a run that ends well, and one that fails.
func (v *secretsTest) runs() {
	v.Helper()
	v.scenario("")
	out := v.ebb(0, "run", "--config", "config.yaml", "--log-level", "debug", "--report", "written/passed", "--junit", "written/passed.xml")
	if !strings.Contains(out, "everything is restored") || !strings.Contains(out, "(secret)") || !strings.Contains(out, "(redacted)") {
		v.Errorf("want a run that handled secrets, got:\n%s", out)
	}
	if v.server.repeated.Load() < 6 {
		v.Errorf("the proxy repeated %d credentials, want one at each of six calls", v.server.repeated.Load())
	}
	v.scenario("fail: true")
	out = v.ebb(1, "run", "--config", "config.yaml", "--log-level", "debug", "--log-format", "json", "-o", "json", "--report", "written/failed", "--junit", "written/failed.xml")
	if !strings.Contains(out, "rollback_content.secret") {
		v.Errorf("want the content refused that holds a secret, got:\n%s", out)
	}
}

// killed is a run that is killed, and what is asked about it.
func (v *secretsTest) killed() {
	v.Helper()
	v.scenario("duration: 600")
	cmd := v.command("run", "--config", "config.yaml", "--log-level", "debug")
	var said, printed bytes.Buffer
	cmd.Stdout = &printed
	stderr, err := cmd.StderrPipe()
	v.must(err)
	v.must(cmd.Start())
	waiting := make(chan error, 1)
	go func() {
		part := make([]byte, 4096)
		for {
			n, err := stderr.Read(part)
			said.Write(part[:n])
			if err != nil || strings.Contains(said.String(), "waiting 10m: waiting with secrets") {
				waiting <- err
				return
			}
		}
	}()
	v.must(<-waiting)
	v.ebb(4, "execute-rollback", "--config", "config.yaml", "--log-level", "debug")
	v.files() // the notes that only a live run has
	v.must(cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		v.Error("the killed run ended well")
	}
	v.output.WriteString(said.String() + printed.String())
	v.ebb(0, "list-rollback", "--config", "config.yaml", "-o", "json")
	v.ebb(0, "list-rollback", "--config", "config.yaml", "-o", "wide")
	v.ebb(0, "check-rollback", "--config", "config.yaml")
	for _, format := range []string{"text", "json"} {
		out := v.ebb(0, "execute-rollback", "--config", "config.yaml", "--dry-run", "--out", "written/plan.json", "-o", format, "--log-format", format, "--log-level", "debug")
		if !strings.Contains(out, "stringData.other = (secret)") {
			v.Errorf("want a plan that hides the value, got:\n%s", out)
		}
	}
}

// mistakes are the operator's, which errors are about.
func (v *secretsTest) mistakes() {
	v.Helper()
	v.kubeconfig("down", "http://alice:hush-url-password@127.0.0.1:1", "{}")
	v.ebb(3, "execute-rollback", "--config", "config.yaml", "--kubeconfig", "down", "--timeout", "100ms", "--log-level", "debug")
	v.kubeconfig("bad", v.server.plain.URL, "{token: [hush-bad-token]}")
	v.ebb(64, "execute-rollback", "--config", "config.yaml", "--kubeconfig", "bad")
	v.ebb(64, "execute-rollback", "--config", "config.yaml", "--kubeconfig", "users: [{name: u, user: {token: hush-inline-token}}]\napiVersion: v1\n")
	v.ebb(64, "execute-rollback", "--config", "config.yaml", "--kubeconfig", `{"users":[{"user":{"token":"hush-inline-token"}}]}`)
	plain := v.env
	v.env = append(append([]string{}, plain...), "HTTP_PROXY=http://alice:hush-proxy-password@127.0.0.1:1", "HTTPS_PROXY=http://alice:hush-proxy-password@127.0.0.1:1", "NO_PROXY=")
	v.kubeconfig("elsewhere", "http://kubernetes.invalid", "{}")
	v.ebb(3, "execute-rollback", "--config", "config.yaml", "--kubeconfig", "elsewhere", "--timeout", "100ms", "--log-level", "debug")
	v.env = plain
}

// loads is http_load, with a mistake and with a pod that is refused.
func (v *secretsTest) loads() {
	v.Helper()
	v.write("http.yaml", fmt.Sprintf(`
- http_load_scenario:
    namespace: %s
    duration: 1
    targets:
      endpoints:
        - url: ftp://user:hush-http-password@web/
          headers: "Authorization: hush-misplaced-header"
          body: [hush-http-body]
`, v.namespace))
	v.write("http-config.yaml", fmt.Sprintf(secretConfig, "http_load_scenarios", "http.yaml"))
	v.ebb(64, "run", "--config", "http-config.yaml", "--log-level", "debug")
	v.write("http.yaml", strings.NewReplacer("ftp:", "http:", `"Authorization: hush-misplaced-header"`, "{Authorization: hush-http-header}", "[hush-http-body]", "hush-http-body").
		Replace(readText(v.T, filepath.Join(v.dir, "http.yaml"))))
	quotas := adminClient(v.T).Resource(kinds["configmaps"].GroupVersion().WithResource("resourcequotas")).Namespace(v.namespace)
	if _, err := quotas.Create(v.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota", "metadata": map[string]any{"name": "no-pods"}, "spec": map[string]any{"hard": map[string]any{"pods": "0"}},
	}}, metav1.CreateOptions{}); err != nil {
		v.Fatal(err)
	}
	v.ebb(1, "run", "--config", "http-config.yaml", "--log-level", "debug")
}

// search looks for the secrets in all that was said and written.
func (v *secretsTest) search() {
	v.Helper()
	for place, marker := range markers {
		for what, form := range map[string]string{"as it is": marker, "in base64": base64.StdEncoding.EncodeToString([]byte(marker)), "escaped": url.QueryEscape(marker)} {
			if i := strings.Index(v.output.String(), form); i >= 0 {
				v.Errorf("%s, %s, is in: …%s…", place, what, v.output.String()[max(0, i-200):min(v.output.Len(), i+100)])
			}
		}
	}
	if left := regexp.MustCompile(`hush-[a-z-]+`).FindString(v.output.String()); left != "" {
		v.Errorf("%s is in an output", left)
	}
}

// files adds all that ebb wrote to what is searched.
func (v *secretsTest) files() {
	v.Helper()
	n := 0
	add := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		// The rollback callable's own words are no secret: a value written into a script is in its version files.
		content = bytes.ReplaceAll(content, []byte(`"hush-" + "patched-secret"`), nil)
		fmt.Fprintf(&v.output, "--- %s\n%s", path, content)
		n++
		return err
	}
	v.must(filepath.WalkDir(filepath.Join(v.dir, "versions"), add))
	if n < 2 {
		v.Errorf("got %d files below the versions directory, want the journal and more", n)
	}
	v.must(filepath.WalkDir(filepath.Join(v.dir, "written"), add))
}

func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
