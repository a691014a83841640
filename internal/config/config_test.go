package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ebb-chaos/ebb/internal/config"
)

const fixtures = "../../testdata/config"

// write makes a configuration file and changes to its directory, so that errors name the file
// alone.
func write(t *testing.T, name, content string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadKrkn(t *testing.T) {
	t.Setenv("HOME", "/home/alice")
	file := filepath.Join(fixtures, "krkn.yaml")
	got, err := config.Load(file, config.Options{IgnoreSafetyKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		File:              file,
		Kubeconfig:        "/home/alice/.kube/test",
		VersionsDirectory: "/var/lib/ebb/versions",
		ExitOnFailure:     true,
		Events:            true, Store: config.Store{Kind: "directory", Required: true},
		ScriptsDirectory: "/home/alice/scenarios",
		Scenarios: []config.ScenarioEntry{
			{Type: "hog_scenarios", Path: "scenarios/kube/cpu-hog.yml", Line: 16},
			{Type: "hog_scenarios", Path: "scenarios/kube/io-hog.yml", Line: 17},
			{Type: "application_outages_scenarios", Path: "scenarios/openshift/app_outage.yaml", Line: 19},
			{Type: "kubevirt_vm_outage", Path: "scenarios/kubevirt/outage.yaml", Line: 21},
			{Type: "pvc_scenarios", Path: "scenarios/pvc.yaml", Line: 22},
			{Type: "hog_scenarios", Path: "scenarios/kube/cpu-hog.yml", Line: 25},
		},
		WaitDuration: 1500 * time.Millisecond,
		Iterations:   3,
		DaemonMode:   true,
		RunUUID:      "5f3c9a52-0000-4000-8000-00000000cafe",
		Ignored: []string{
			"cerberus.check_application_routes", "elastic", "kraken.generate_pdf_report", "kraken.port", "kraken.signal_address",
			"kubevirt_checks.interval", "kubevirt_checks.ssh_node",
			"performance_monitoring.alert_profile", "performance_monitoring.enable_metrics", "performance_monitoring.prometheus_url",
			"resiliency", "telemetry",
		},
		Warnings: []string{
			file + `:7: key "kraken.publish_kraken_status": ignored as asked: asks to serve an address at which others can pause or stop the run`,
			file + `:23: key "kraken.chaos_scenarios[4].zone_outages_scenarios": names no scenario files`,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	undo, err := config.LoadForRollback(file)
	if err != nil {
		t.Fatal(err)
	}
	want.Scenarios, want.Warnings = nil, nil
	if d := cmp.Diff(want, undo); d != "" {
		t.Error(d)
	}
}

func TestDefaults(t *testing.T) {
	file := filepath.Join(fixtures, "minimal.yaml")
	want := &config.Config{
		File:                       file,
		AutoRollback:               true,
		VersionsDirectory:          "/tmp/kraken-rollback",
		VersionsDirectoryDefaulted: true,
		Events:                     true, Store: config.Store{Kind: "directory", Required: true},
		Scenarios:    []config.ScenarioEntry{{Type: "hog_scenarios", Path: "cpu.yml", Line: 3}},
		WaitDuration: 60 * time.Second,
		Iterations:   1,
	}
	got, err := config.Load(file, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Null and ” are what Krkn's template has for what isn't set.
func TestEmptyMeansDefault(t *testing.T) {
	write(t, "c.yaml", `
kraken:
  kubeconfig_path: ''
  auto_rollback:
  rollback_versions_directory: ''
  exit_on_failure: ''
  chaos_scenarios: {hog_scenarios: [cpu.yml]}
tunings: {wait_duration: , iterations: '', daemon_mode: ~}
performance_monitoring: {uuid: ''}
cerberus:
health_checks: {config: }
`)
	got, err := config.Load("c.yaml", config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		File: "c.yaml", AutoRollback: true,
		VersionsDirectory: config.DefaultVersionsDirectory, VersionsDirectoryDefaulted: true,
		Events: true, Store: config.Store{Kind: "directory", Required: true},
		Scenarios:    []config.ScenarioEntry{{Type: "hog_scenarios", Path: "cpu.yml", Line: 7}},
		WaitDuration: time.Minute, Iterations: 1,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWarnings(t *testing.T) {
	write(t, "c.yaml", `
kraken:
  litmus_version: 1.13
  signal_addres: 0.0.0.0
  rollback_versions_directory: versions/
  chaos_scenarios:
    - hog_scenarios: cpu.yml
      pvc_scenarios: pvc.yml
events: {}
files: &files [a.yml]
list: [&b c]
`)
	got, err := config.Load("c.yaml", config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`c.yaml:3: key "kraken.litmus_version": unknown`,
		`c.yaml:4: key "kraken.signal_addres": unknown; did you mean "signal_address"?`,
		`c.yaml:8: key "kraken.chaos_scenarios[0].pvc_scenarios": not run: of several types in one item Krkn takes the first; make it an item of its own ("- pvc_scenarios:")`,
		`c.yaml:9: key "events": unknown`,
	} {
		if i >= len(got.Warnings) || !strings.HasPrefix(got.Warnings[i], want) {
			t.Errorf("want %s; got the warnings %q", want, got.Warnings)
		}
	}
	if d := cmp.Diff([]string{"files", "list"}, got.Ignored); d != "" {
		t.Error(d)
	}
	if len(got.Scenarios) != 1 || got.VersionsDirectory != "versions/" || got.VersionsDirectoryDefaulted || !got.AutoRollback {
		t.Errorf("got %+v", got)
	}
}

func TestErrors(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(fixtures, "errors.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	for _, f := range archive.Files {
		name, ok := strings.CutSuffix(f.Name, ".yaml")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			write(t, f.Name, string(f.Data))
			_, err := config.Load(f.Name, config.Options{})
			golden(t, "Load", files[name+".want"], err)
			if want, ok := files[name+".rollback"]; ok {
				_, err := config.LoadForRollback(f.Name)
				golden(t, "LoadForRollback", want, err)
			}
		})
	}
}

func golden(t *testing.T, what, want string, err error) {
	t.Helper()
	got := "ok"
	if err != nil {
		got = err.Error()
	}
	if d := cmp.Diff(strings.TrimSpace(want), got); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

func TestIgnoreSafetyKeys(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(fixtures, "errors.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if f.Name == "safety.yaml" {
			write(t, f.Name, string(f.Data))
		}
	}
	got, err := config.Load("safety.yaml", config.Options{IgnoreSafetyKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) != 8 || got.Warnings[0] != `safety.yaml:2: key "kraken.signal_state": ignored as asked: "PAUSE" asks to wait for a signal before each scenario` {
		t.Errorf("got the warnings %q", got.Warnings)
	}
	if len(got.Scenarios) != 1 {
		t.Errorf("got the scenarios %v", got.Scenarios)
	}
}

// What a rollback doesn't need must not stop it, but is said.
func TestRollbackWarns(t *testing.T) {
	write(t, "c.yaml", "kraken:\n  auto_rollback: maybe\n  kubeconfig_path: /k\n  rollback_versions_directory: /v\n  chaos_scenarios: 3\ntunings: {iterations: x}\n")
	got, err := config.LoadForRollback("c.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got.Kubeconfig != "/k" || got.VersionsDirectory != "/v" {
		t.Errorf("got %+v", got)
	}
	want := []string{
		`c.yaml:2: key "kraken.auto_rollback": got the string "maybe", want true or false`,
		`c.yaml:6: key "tunings.iterations": got the string "x", want a whole number`,
	}
	if d := cmp.Diff(want, got.Warnings); d != "" {
		t.Error(d)
	}
}

func TestMissingFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, load := range []func() (*config.Config, error){
		func() (*config.Config, error) { return config.Load("config/config.yaml", config.Options{}) },
		func() (*config.Config, error) { return config.LoadForRollback("config/config.yaml") },
	} {
		_, err := load()
		var missing *config.MissingError
		if !errors.As(err, &missing) || !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("got %v", err)
		}
		if !strings.HasPrefix(err.Error(), `configuration file "config/config.yaml": does not exist in "`) || missing.Directory == "" {
			t.Errorf("got %v", err)
		}
	}
	if _, err := config.Load(dir, config.Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: got %v", err)
	}
}

func TestKubeconfigPath(t *testing.T) {
	t.Setenv("HOME", "/home/alice")
	for _, test := range []struct{ written, env, want string }{
		{"/etc/kube", "/env", "/etc/kube"},
		{"relative/kube", "", "relative/kube"},
		{"~/.kube/test", "/env", "/home/alice/.kube/test"},
		{"~", "", "/home/alice"},
		{"$HOME/kube", "", "$HOME/kube"},
		// The client searches: KUBECONFIG may be a list, and in a pod there is no file.
		{"", "/env:/env2", ""},
		{"", "", ""},
	} {
		t.Setenv("KUBECONFIG", test.env)
		got, err := config.KubeconfigPath(test.written)
		if err != nil || got != test.want {
			t.Errorf("%q, KUBECONFIG=%q: got %q, %v, want %q", test.written, test.env, got, err, test.want)
		}
	}
	t.Setenv("HOME", "")
	if got, err := config.KubeconfigPath("~/x"); err == nil {
		t.Errorf("without a home: got %q", got)
	}
	if got, err := config.KubeconfigPath("~bob/x"); err == nil {
		t.Errorf("another's home: got %q", got)
	}
}

// A pod of an arbitrary user has no home, and needs none: Krkn's own configuration names ~/.kube/config.
func TestKubeconfigWithoutHome(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	defer func(before string) { config.ServiceAccount = before }(config.ServiceAccount)
	config.ServiceAccount = token
	t.Setenv("HOME", "")
	write(t, "c.yaml", "kraken: {kubeconfig_path: ~/.kube/config, chaos_scenarios: [hog_scenarios: a.yml]}\n")
	if _, err := config.Load("c.yaml", config.Options{}); err == nil || !strings.Contains(err.Error(), "there is no home directory") {
		t.Errorf("without a service account: got %v, want an error about the home", err)
	}
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("c.yaml", config.Options{})
	if err != nil || c.Kubeconfig != "~/.kube/config" {
		t.Errorf("with one: got %+v, %v, want the path as it was written", c, err)
	}
}

func TestRunUUID(t *testing.T) {
	for _, test := range []struct {
		uuid string
		ok   bool
	}{
		{"a", true}, {"123", true}, {"A.b_c-9", true}, {strings.Repeat("a", 63), true},
		{strings.Repeat("a", 64), false}, {"a/b", false}, {"a b", false}, {"'a\n'", false}, {".a", false}, {"a-", false}, {"é", false}, {"'..'", false},
	} {
		write(t, "c.yaml", "kraken: {chaos_scenarios: [hog_scenarios: a.yml]}\nperformance_monitoring:\n  uuid: "+test.uuid+"\n")
		_, err := config.Load("c.yaml", config.Options{})
		if (err == nil) != test.ok {
			t.Errorf("%s: got %v", test.uuid, err)
		}
	}
}

// FuzzLoad: any file is a configuration with what a run needs, or an error that names the file.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"krkn.yaml", "minimal.yaml"} {
		data, err := os.ReadFile(filepath.Join(fixtures, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	archive, err := txtar.ParseFile(filepath.Join(fixtures, "errors.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Add([]byte("a: &a [hog_scenarios: *a]\nkraken: {chaos_scenarios: *a, <<: [*a, *a]}"))
	f.Add([]byte("h: &h [{exit_on_failure: yes, url: x}]\nhealth_checks: {config: *h}\nkraken: {<<: {chaos_scenarios: {a: b}}}"))
	f.Setenv("HOME", "/home/alice")
	file := filepath.Join(f.TempDir(), "c.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file, config.Options{})
		switch {
		case err != nil:
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, file+":") {
					t.Fatalf("error without the file: %q", line)
				}
			}
		case len(c.Scenarios) == 0 && len(c.Warnings) == 0, c.Iterations < 1, c.WaitDuration < 0, c.VersionsDirectory == "":
			t.Fatalf("incomplete: %+v", c)
		}
		undo, undoErr := config.LoadForRollback(file)
		if err == nil && undoErr != nil {
			t.Fatalf("good for a run, not for a rollback: %v", undoErr)
		}
		if undoErr == nil && undo.VersionsDirectory == "" {
			t.Fatalf("incomplete: %+v", undo)
		}
	})
}

// A list within the list is the mistake of its own type: who skips that type need not fix it.
func TestNestedList(t *testing.T) {
	write(t, "c.yaml", "kraken:\n  chaos_scenarios:\n    - pod_scenarios:\n        - - etcd.yml\n          - check.py\n    - hog_scenarios: [cpu.yml]\n")
	got, err := config.Load("c.yaml", config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Scenarios) != 2 || got.Scenarios[0].Err == nil || got.Scenarios[1].Err != nil {
		t.Fatalf("got %+v", got.Scenarios)
	}
	const want = `c.yaml:4: key "kraken.chaos_scenarios[0].pod_scenarios[0]": got a list within the list`
	if err := got.Scenarios[0].Err; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
