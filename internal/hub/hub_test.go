package hub

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type m = map[string]any

func env(pairs ...string) func(string) string {
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return values[name] }
}

func decoded(t *testing.T, data []byte) (v any) {
	t.Helper()
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v:\n%s", err, data)
	}
	return v
}

func TestRender(t *testing.T) {
	hijack := "service_name: web\nplan: []\n"
	for _, test := range []struct {
		name string
		env  []string
		want any
	}{
		{"application-outages", []string{"NAMESPACE", "shop", "POD_SELECTOR", "{app: web, tier: 1.10}", "BLOCK_TRAFFIC_TYPE", "[Ingress, Egress]"}, m{"application_outage": m{
			"duration": 600, "namespace": "shop", "pod_selector": m{"app": "web", "tier": 1.1}, "exclude_label": nil, "block": []any{"Ingress", "Egress"},
		}}},
		{"application-outages", []string{"NAMESPACE", "shop", "BLOCK_TRAFFIC_TYPE", "- Ingress\n    - Egress"}, m{"application_outage": m{
			"duration": 600, "namespace": "shop", "pod_selector": m{}, "exclude_label": nil, "block": []any{"Ingress", "Egress"},
		}}},
		{"node-cpu-hog", nil, m{
			"duration": 60, "namespace": "default", "node-selector": nil, "number-of-nodes": nil, "taints": []any{}, "image": "quay.io/krkn-chaos/krkn-hog",
			"workers": nil, "cpu-load-percentage": 50, "hog-type": "cpu", "cpu-method": "all",
		}},
		{"service-hijacking", []string{"SCENARIO_BASE64", base64.StdEncoding.EncodeToString([]byte(hijack))}, m{"service_name": "web", "plan": []any{}}},
		{"syn-flood", []string{"NODE_SELECTORS", "a=1;a=2;b=3", "TARGET_SERVICE", "123"}, m{
			"packet-size": 120, "window-size": 64, "duration": 120, "namespace": "default", "target-service": "123", "target-port": 443, "target-service-label": "",
			"number-of-pods": 2, "image": "quay.io/krkn-chaos/krkn-syn-flood:latest", "attacker-nodes": m{"a": []any{"1", "2"}, "b": []any{"3"}},
		}},
		{"zone-outages", []string{"CLOUD_TYPE", "gcp", "ZONE", "eu-1"}, m{"zone_outage": m{"cloud_type": "gcp", "duration": 600, "zone": "eu-1"}}},
		{"http-load", []string{"KEEPALIVE", "True", "INSECURE", "yes", "TARGET_ENDPOINTS", "GET http://a/;POST http://b/ A:1,B:x:y {\"k\": 1}"}, []any{m{"http_load_scenario": m{
			"runs": 1, "number-of-pods": 2, "namespace": "default", "image": "quay.io/krkn-chaos/krkn-http-load:latest", "attacker-nodes": m{}, "rate": "50/1s",
			"duration": "30s", "workers": 10, "max_workers": 100, "connections": 100, "timeout": "10s", "keepalive": true, "http2": true, "insecure": false,
			"targets": m{"endpoints": []any{m{"method": "GET", "url": "http://a/"}, m{"method": "POST", "url": "http://b/", "headers": m{"A": "1", "B": "x:y"}, "body": `{"k": 1}`}}},
		}}}},
		{"node-network-filter", []string{"NODE_NAME", "n1", "PORTS", "80,443", "INTERFACES", "eth0", "INGRESS", "true", "PROTOCOLS", "tcp,udp"}, []any{m{
			"label_selector": "", "target": "n1", "namespace": "default", "instance_count": 1, "execution": "parallel", "service_account": "",
			"image": "quay.io/krkn-chaos/krkn-network-chaos:latest", "test_duration": 60, "interfaces": []any{"eth0"}, "taints": []any{}, "ingress": true, "egress": false,
			"ports": []any{80, 443}, "protocols": []any{"tcp", "udp"}, "id": "node_network_filter", "wait_duration": 0,
		}}},
		// Blanks around values, and a comma at the end.
		{"pod-network-filter", []string{"NAMESPACE", "shop ", "POD_NAME", " web-0", "PORTS", "80, 443,", "INTERFACES", "eth0, eth1,", "PROTOCOLS", " udp ", "EGRESS", "True "}, []any{m{
			"label_selector": "", "target": "web-0", "namespace": "shop", "instance_count": 1, "execution": "parallel", "service_account": "",
			"image": "quay.io/krkn-chaos/krkn-network-chaos:latest", "test_duration": 60, "interfaces": []any{"eth0", "eth1"}, "taints": []any{}, "ingress": false, "egress": true,
			"ports": []any{80, 443}, "protocols": []any{"udp"}, "id": "pod_network_filter", "wait_duration": 0,
		}}},
		// Lists as krkn-hub's documents have them, which its own image does not read.
		{"node-interface-down", []string{"NODE_NAME", "n1", "INTERFACES", "[eth0, 1]", "TAINTS", `["node-role.kubernetes.io/master:NoSchedule", "a=b:NoExecute"]`}, []any{m{
			"label_selector": "", "target": "n1", "namespace": "default", "instance_count": 1, "execution": "parallel", "service_account": "",
			"image": "quay.io/krkn-chaos/krkn-network-chaos:latest", "test_duration": 60, "interfaces": []any{"eth0", "1"},
			"taints": []any{"node-role.kubernetes.io/master:NoSchedule", "a=b:NoExecute"}, "recovery_time": 0, "ingress": true, "egress": true, "id": "node_interface_down", "wait_duration": 60,
		}}},
		{"pod-scenarios", []string{"POD_LABEL", "app=web"}, []any{m{"id": "kill-pods", "config": m{
			"namespace_pattern": "openshift-.*", "label_selector": "app=web", "kill": 1, "execution": "serial", "timeout": 180, "krkn_pod_recovery_time": 120,
			"node_names": nil, "node_label_selector": nil, "exclude_label": nil, "force": false,
		}}}},
		{"node-scenarios", []string{"CLOUD_TYPE", "bm", "NODE_NAME", "n1", "DISKS", "[sda]"}, m{"node_scenarios": []any{m{
			"actions": []any{"node_stop_start_scenario"}, "node_name": "n1", "label_selector": "node-role.kubernetes.io/worker", "exclude_label": nil, "instance_count": 1,
			"runs": 1, "timeout": 180, "duration": 120, "cloud_type": "bm", "bmc_user": nil, "bmc_password": nil, "bmc_info": m{"n1": m{"bmc_addr": nil, "disks": []any{"sda"}}},
		}}}},
		{"network-chaos", []string{"TRAFFIC_TYPE", "ingress", "NETWORK_PARAMS", "{latency: 50ms}"}, []any{m{"id": "network_chaos", "config": m{
			"node_interface_name": nil, "label_selector": "node-role.kubernetes.io/master", "instance_count": 1, "execution_type": "parallel",
			"network_params": m{"latency": "50ms"}, "wait_duration": 60, "test_duration": 300, "image": "quay.io/krkn-chaos/krkn:tools",
		}}}},
	} {
		files, err := Render(test.name, env(test.env...), "s.yaml", "")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := decoded(t, files.Scenario); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got\n%v, want\n%v", test.name, got, test.want)
		}
	}
}

// What an image has as a string is one, whatever else it is to Python.
func TestText(t *testing.T) {
	files, err := Render("http-load", env("NAMESPACE", "on", "TIMEOUT", "1:30", "TARGET_ENDPOINTS", "GET http://a/ DNT:Yes,A:1:30.5,B:0.10,C:00:10:20 off", "NODE_SELECTORS", "gpu=no"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`namespace: "on"`, `timeout: "1:30"`, `DNT: "Yes"`, `A: "1:30.5"`, `B: "0.10"`, `C: "00:10:20"`, `body: "off"`, `- "no"`, `method: GET`} {
		if !strings.Contains(string(files.Scenario), want+"\n") {
			t.Errorf("got no %s in\n%s", want, files.Scenario)
		}
	}
}

// The configuration has what the images' template has, as far as ebb reads it.
func TestConfig(t *testing.T) {
	files, err := Render("node-cpu-hog", env("KRKN_KUBE_CONFIG", "/kube", "ITERATIONS", "3", "SIGNAL_STATE", "PAUSE", "ENABLE_ALERTS", "True", "TRIGGER_COMMAND", "x\ny: z", "KRKN_DEBUG", "True"), "/s.yaml", "/v")
	if err != nil {
		t.Fatal(err)
	}
	want := m{
		"kraken": m{
			"exit_on_failure": false, "kubeconfig_path": "/kube", "rollback_versions_directory": "/v", "signal_state": "PAUSE", "publish_kraken_status": false,
			"chaos_scenarios": []any{m{"hog_scenarios": []any{"/s.yaml"}}},
		},
		"tunings":                m{"wait_duration": 60, "iterations": 3, "daemon_mode": false},
		"performance_monitoring": m{"uuid": "", "enable_alerts": true, "check_critical_alerts": false},
		"cerberus":               m{"cerberus_enabled": false},
		"health_checks":          m{"config": []any{m{"url": "", "exit_on_failure": nil}}},
		"kubevirt_checks":        m{"namespace": "", "exit_on_failure": nil},
		"triggers":               m{"conditions": []any{"TRIGGER_COMMAND"}},
	}
	if got := decoded(t, files.Config); !reflect.DeepEqual(got, want) || !files.Debug {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	for file, want := range map[string]string{"": "/s.yaml", "scenarios/kube/cpu-hog.yml": "/s.yaml", "/home/krkn/kraken/scenarios/kube/cpu-hog.yml": "/s.yaml", "my/hog.yml": "my/hog.yml"} {
		files, err = Render("node-cpu-hog", env("SCENARIO_FILE", file, "TRIGGER_K8S_API_VERSION", "v1"), "/s.yaml", "")
		if err != nil {
			t.Fatal(err)
		}
		got := decoded(t, files.Config).(m)
		if scenarios := []any{m{"hog_scenarios": []any{want}}}; !reflect.DeepEqual(got["kraken"].(m)["chaos_scenarios"], scenarios) || got["triggers"] == nil {
			t.Errorf("SCENARIO_FILE %q: got %v, want the scenarios %v, and a trigger", file, got, scenarios)
		}
	}
	files, err = Render("rollback", env("RUN_UUID", "run-1"), "", "")
	if err != nil || files.RunUUID != "run-1" || files.Scenario != nil {
		t.Errorf("rollback: got %+v, %v", files, err)
	}
}

// A value stays one value, whatever it holds.
func TestHostileValues(t *testing.T) {
	for _, value := range []string{"a\nkraken: {auto_rollback: False}", "a\n---\nb: c", "&x a", "*x", "{a: &x b, c: *x}", "[", "'", "\x00", "a: b: c"} {
		files, err := Render("node-cpu-hog", env("NAMESPACE", value), "s.yaml", "")
		if err != nil {
			continue
		}
		if got, ok := decoded(t, files.Scenario).(m); !ok || len(got) != 10 {
			t.Errorf("%q: got %v, want ten keys", value, got)
		}
	}
	for name, pairs := range map[string][]string{
		"service-hijacking": {"SCENARIO_BASE64", "???"}, "http-load": {"TARGET_ENDPOINTS", "GET"}, "syn-flood": {"NODE_SELECTORS", "a"}, "network-chaos": {"TRAFFIC_TYPE", "both"}, "rollback": {},
	} {
		if files, err := Render(name, env(pairs...), "", ""); err == nil {
			t.Errorf("%s: got %s, want an error", name, files.Scenario)
		}
	}
	var unknown *UnknownError
	if _, err := Render("nothing", env(), "", ""); !errors.As(err, &unknown) || unknown.Name != "nothing" {
		t.Errorf("got %v, want an *UnknownError with the name", err)
	}
}

// Each variable of an image is there once, and no path is inside another.
func TestImages(t *testing.T) {
	names := map[string]bool{}
	for _, i := range images {
		if names[i.name] {
			t.Errorf("%s is there twice", i.name)
		}
		names[i.name] = true
		seen, paths := map[string]bool{}, map[string]bool{}
		for _, v := range i.variables {
			if seen[v.name] || v.path != "" && paths[v.path] || (v.path == "") != (v.form == unused) {
				t.Errorf("%s: %s is there twice, or its path %q does not fit its form", i.name, v.name, v.path)
			}
			seen[v.name], paths[v.path] = true, true
		}
	}
}

// A value that is named as a key is a value: a namespace called ingress.
func TestValuesAreNoKeys(t *testing.T) {
	entry := func(name string, pairs ...string) m {
		files, err := Render(name, env(pairs...), "s.yaml", "")
		if err != nil {
			return nil
		}
		return decoded(t, files.Scenario).([]any)[0].(m)
	}
	for _, i := range images {
		if i.scenarioType != "network_chaos_ng_scenarios" {
			continue
		}
		for _, v := range i.variables {
			_, own, ok := strings.Cut(v.path, ".")
			if !ok || v.name == "TRAFFIC_TYPE" {
				continue
			}
			for key := range entry(i.name) {
				want, got := entry(i.name), entry(i.name, v.name, key)
				if got == nil {
					t.Errorf("%s: %s=%s is refused", i.name, v.name, key)
					continue
				}
				if _, ok := got[own]; !ok {
					t.Errorf("%s: %s=%s: %q is missing", i.name, v.name, key, own)
				}
				delete(want, own)
				delete(got, own)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %s=%s: the rest is\n%v, want\n%v", i.name, v.name, key, got, want)
				}
			}
		}
	}
}
