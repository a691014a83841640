package runner_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ebb-chaos/ebb/internal/cloudtest"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
	"k8s.io/client-go/rest"
)

// stopScenario stops an instance and no more; its undo starts it.
const stopScenario = `
scenario = Scenario(type = "stop_scenarios", fields = {}, rights = [], help = "stops an instance")

def run(config):
    set_rollback_callable(start, RollbackContent(), verify = runs, undoes = [ref("aws.Instance", "i-1")])
    cloud.aws.stop("i-1")
    cloud.aws.wait(["i-1"], "stopped", timeout = 60)
` + startInstance

// startInstance are the undo of a stopped instance, and its verify.
const startInstance = `
def start(content):
    """Starts it."""
    cloud.aws.start("i-1")
    cloud.aws.wait(["i-1"], "running", timeout = 60)

def runs(content):
    """Fails while it does not run."""
    if cloud.aws.describe(["i-1"])["i-1"] != "running":
        fail("it does not run")
`

// cloudBench is a bench with an EC2 and one scenario, and a cluster as given.
func cloudBench(t *testing.T, cluster func() (*rest.Config, error)) (*bench, *cloudtest.AWS, []*runner.Scenario) {
	t.Helper()
	ec2 := cloudtest.NewAWS(t)
	for name, value := range ec2.Env() {
		t.Setenv(name, value)
	}
	ec2.AddInstance("i-1", "running")
	b := &bench{t: t, store: versions.NewMemory()}
	b.use(runner.Options{
		FileTimeout: 300 * time.Millisecond, Cluster: cluster,
		AWS:     runner.AWSFromEnvironment,
		Scripts: []runner.ScriptDir{{Name: "test", FS: fstest.MapFS{"stop.star": {Data: []byte(stopScenario)}}}},
	})
	path := filepath.Join(t.TempDir(), "stop.yaml")
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	scenarios, err := b.Prepare(t.Context(), []runner.ScenarioFile{{Type: "stop_scenarios", Path: path, From: "test:1"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	return b, ec2, scenarios
}

// fakeCluster is all of a cluster that is needed to know which one it is.
func fakeCluster(t *testing.T, uid string) func() (*rest.Config, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "kube-system", "uid": uid},
		}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	config := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf("{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a}}], clusters: [{name: a, cluster: {server: %q}}]}", server.URL)
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() (*rest.Config, error) { return kube.LoadConfig(config, "") }
}

func (b *bench) run(scenarios []*runner.Scenario, o runner.RunOptions) *runner.RunReport {
	b.t.Helper()
	report, err := b.Run(b.t.Context(), scenarios, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return report
}

// flushed returns the version files that are left.
func (b *bench) flushed() string {
	b.t.Helper()
	listing, err := b.store.List(b.t.Context(), versions.Filter{})
	if err != nil {
		b.t.Fatal(err)
	}
	var all strings.Builder
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			content, err := b.store.Read(b.t.Context(), f)
			if err != nil {
				b.t.Fatal(err)
			}
			all.Write(content)
		}
	}
	return all.String()
}

// What changes only a cloud needs no cluster, neither to be done nor to be undone.
// Waiting for the cloud is not the file's own time: here it has less than the cloud's pauses take.
func TestCloudNeedsNoCluster(t *testing.T) {
	b, ec2, scenarios := cloudBench(t, func() (*rest.Config, error) { return nil, errors.New("there is none") })
	ec2.Fault("StartInstances", cloudtest.Throttle, cloudtest.Throttle, cloudtest.Throttle)
	report := b.run(scenarios, runner.RunOptions{UUID: "run-1"})
	if report.Failed() > 0 || report.Pending() > 0 || ec2.State("i-1") != "running" {
		t.Errorf("failed %d, pending %d, the instance is %s:\n%s", report.Failed(), report.Pending(), ec2.State("i-1"), b.log.String())
	}
	if ec2.Calls("StopInstances") != 1 || ec2.Calls("StartInstances") != 4 {
		t.Errorf("stopped %d times, started %d times", ec2.Calls("StopInstances"), ec2.Calls("StartInstances"))
	}
}

// Where there is one, the version file says which it was.
func TestCloudNamesTheCluster(t *testing.T) {
	b, ec2, scenarios := cloudBench(t, fakeCluster(t, "uid-1"))
	ec2.Fault("StopInstances", cloudtest.Deny)
	b.run(scenarios, runner.RunOptions{UUID: "run-1"})
	if got := b.flushed(); !strings.Contains(got, `cluster_uid = "uid-1"`) {
		t.Errorf("the version file does not name the cluster:\n%s", got)
	}
}

// Two clusters may share what is in a cloud, but nothing else.
func TestCloudOverlap(t *testing.T) {
	for ref, refused := range map[string]bool{`ref("aws.Instance", "i-1")`: true, `ref("Pod", "i-1")`: false} {
		b, ec2, scenarios := cloudBench(t, fakeCluster(t, "uid-1"))
		other := strings.Replace(file("a", "pass", ref), "format = 1", `format = 1, run_uuid = "run-0", cluster_uid = "uid-0"`, 1)
		b.execution("run-0", other)
		report := b.run(scenarios, runner.RunOptions{UUID: "run-1"})
		if report.Refused() != refused || (ec2.Calls("StopInstances") == 0) != refused {
			t.Errorf("another cluster's file with %s: refused %t, want %t:\n%s", ref, report.Refused(), refused, b.log.String())
		}
	}
}
