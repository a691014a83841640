package hub

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Image describes an image of krkn-hub, for lists.
type Image struct {
	Name         string
	ScenarioType string // "" for rollback
	Help         string
	Variables    []Variable
}

// Variable describes an environment variable of an image.
type Variable struct{ Name, Default string }

// Rollback is the image that runs no scenario, but undoes a run.
const Rollback = "rollback"

// Images returns all images that are known, by name.
func Images() []Image {
	var all []Image
	for _, i := range images {
		one := Image{Name: i.name, ScenarioType: i.scenarioType, Help: i.help}
		for _, v := range i.variables {
			one.Variables = append(one.Variables, Variable{v.name, v.value})
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Names returns the names of all images, sorted.
func Names() []string {
	var names []string
	for _, i := range Images() {
		names = append(names, i.Name)
	}
	return names
}

// UnknownError means that krkn-hub does not have the image, or that ebb does not have its
// scenarios.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no hub scenario %q", e.Name)
}

// Files are the files that an image renders.
type Files struct {
	ScenarioType string
	Scenario     []byte // nil for rollback
	Config       []byte
	RunUUID      string // the run that rollback is about
	Debug        bool
}

// Render makes the files of an image. scenarioFile is the path that the configuration names.
// versionsDirectory is empty for the default.
func Render(name string, get func(string) string, scenarioFile, versionsDirectory string) (*Files, error) {
	at := slices.IndexFunc(images, func(i image) bool { return i.name == name })
	if at < 0 {
		return nil, &UnknownError{name}
	}
	e := &environment{image: &images[at], get: get, scenarioType: images[at].scenarioType}
	files := &Files{Debug: strings.EqualFold(e.value("KRKN_DEBUG"), "true")}
	if name == Rollback {
		if files.RunUUID = e.value("RUN_UUID"); files.RunUUID == "" {
			return nil, fmt.Errorf("RUN_UUID: it is not set; want the UUID of the run to undo")
		}
	} else {
		var document yaml.Node
		if err := e.fill(e.image.variables, &document); err != nil {
			return nil, err
		}
		if e.image.finish != nil {
			if err := e.image.finish(e, &document); err != nil {
				return nil, err
			}
		}
		if scenarioType := get("SCENARIO_TYPE"); scenarioType != "" {
			e.scenarioType = scenarioType
		}
		var err error
		if files.Scenario, err = encode(&document); err != nil {
			return nil, err
		}
	}
	files.ScenarioType = e.scenarioType
	config, err := e.config(scenarioFile, versionsDirectory)
	if err != nil {
		return nil, err
	}
	files.Config, err = encode(config)
	return files, err
}

// config makes the configuration that all images have.
func (e *environment) config(scenarioFile, versionsDirectory string) (*yaml.Node, error) {
	var document yaml.Node
	set(&document, "kraken.exit_on_failure", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "False"})
	if kubeconfig := e.get("KRKN_KUBE_CONFIG"); kubeconfig != "" { // otherwise what Kubernetes' own tools take
		set(&document, "kraken.kubeconfig_path", text(kubeconfig))
	}
	if versionsDirectory != "" {
		set(&document, "kraken.rollback_versions_directory", text(versionsDirectory))
	}
	if err := e.fill(common, &document); err != nil {
		return nil, err
	}
	if e.image.name != Rollback {
		set(&document, "kraken.chaos_scenarios.0."+e.scenarioType, list(text(e.scenarioFile(scenarioFile))))
	}
	var conditions []*yaml.Node
	for _, trigger := range triggers {
		if value := e.get(trigger); value != "" {
			conditions = append(conditions, text(trigger))
		}
	}
	if len(conditions) > 0 { // what they are is no matter: ebb has no triggers, and says so
		set(&document, "triggers.conditions", list(conditions...))
	}
	return &document, nil
}

// common are the variables of all images.
var common = []variable{
	{"WAIT_DURATION", "60", "tunings.wait_duration", asYAML},
	{"ITERATIONS", "1", "tunings.iterations", asYAML},
	{"DAEMON_MODE", "False", "tunings.daemon_mode", asYAML},
	{"SIGNAL_STATE", "RUN", "kraken.signal_state", asText},
	{"PUBLISH_KRAKEN_STATUS", "False", "kraken.publish_kraken_status", asYAML},
	{"UUID", "", "performance_monitoring.uuid", asText},
	{"ENABLE_ALERTS", "False", "performance_monitoring.enable_alerts", asYAML},
	{"CHECK_CRITICAL_ALERTS", "False", "performance_monitoring.check_critical_alerts", asYAML},
	{"CERBERUS_ENABLED", "False", "cerberus.cerberus_enabled", asYAML},
	{"HEALTH_CHECK_URL", "", "health_checks.config.0.url", asText},
	{"HEALTH_CHECK_EXIT_ON_FAILURE", "", "health_checks.config.0.exit_on_failure", asYAML},
	{"KUBE_VIRT_NAMESPACE", "", "kubevirt_checks.namespace", asText},
	{"KUBE_VIRT_EXIT_ON_FAIL", "", "kubevirt_checks.exit_on_failure", asYAML},
	{"KRKN_DEBUG", "False", "", unused},
}

// triggers are the variables that make Krkn wait for something.
var triggers = []string{"TRIGGER_COMMAND", "TRIGGER_HTTP_URL", "TRIGGER_K8S_API_VERSION", "TRIGGER_K8S_NAME", "TRIGGER_K8S_KIND", "TRIGGER_PROM_QUERY"}

// ownFiles are the paths to which images write their scenario files. If SCENARIO_FILE names another
// path, the image runs that file, and ignores its other variables.
var ownFiles = map[string]string{
	"application-outages": "app_outage.yaml", "container-scenarios": "container_scenario.yaml", "http-load": "http-load.yaml",
	"kubevirt-outage": "kubevirt_scenario.yaml", "network-chaos": "network_chaos.yaml", "node-cpu-hog": "kube/cpu-hog.yml",
	"node-interface-down": "kube/node-interface-down.yml", "node-io-hog": "kube/io-hog.yml", "node-memory-hog": "kube/memory-hog.yml",
	"node-network-filter": "kube/network-filter.yml", "node-scenarios": "node_scenario.yaml", "pod-network-chaos": "pod_network_scenario.yaml",
	"pod-network-filter": "kube/network-filter.yml", "pod-scenarios": "pod_scenario.yaml", "power-outages": "cluster_shut_down_scenario.yml",
	"pvc-scenario": "pvc_scenario.yaml", "service-disruption-scenarios": "namespace_scenario.yaml", "storage-throttle": "storage_throttle.yaml",
	"syn-flood": "syn-flood.yaml", "time-scenarios": "time_scenario.yaml", "vmi-network": "kube/vmi-network-chaos.yml",
	"vmi-network-filter": "kube/vmi-network-filter.yml", "zone-outages": "zone_outage.yaml",
}

// scenarioFile is the file to run: the rendered one, unless the image would run another.
func (e *environment) scenarioFile(rendered string) string {
	file, own := e.get("SCENARIO_FILE"), ownFiles[e.image.name]
	if file == "" || own == "" || strings.TrimPrefix(file, "/home/krkn/kraken/") == "scenarios/"+own {
		return rendered
	}
	return file
}
