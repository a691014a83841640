package hub

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The functions that finish a document do what is more than one variable for one key.

// fixed sets strings that are constant in the template of an image.
func fixed(pairs ...string) func(*environment, *yaml.Node) error {
	return func(_ *environment, document *yaml.Node) error {
		for i := 0; i < len(pairs); i += 2 {
			set(document, pairs[i], text(pairs[i+1]))
		}
		return nil
	}
}

func fixedYAML(path, value string) func(*environment, *yaml.Node) error {
	return func(_ *environment, document *yaml.Node) error { return setYAML(document, path, value) }
}

func setYAML(document *yaml.Node, path, value string) error {
	n, err := parsed(value)
	if err != nil {
		return err
	}
	set(document, path, n)
	return nil
}

// kind sets the id of a file of network_chaos_ng, and keys that its template has as true.
func kind(id string, on ...string) func(*environment, *yaml.Node) error {
	return func(e *environment, document *yaml.Node) error {
		set(document, "0.id", text(id))
		wait := "0"
		if id == "node_interface_down" { // the image sets it from the variable that all images have
			wait = e.value("WAIT_DURATION")
		}
		if err := setYAML(document, "0.wait_duration", wait); err != nil {
			return fmt.Errorf("WAIT_DURATION: %w", err)
		}
		for _, key := range on {
			if err := setYAML(document, "0."+key, "true"); err != nil {
				return err
			}
		}
		return nil
	}
}

// trafficType finishes node-network-chaos.
func trafficType(e *environment, document *yaml.Node) error {
	set(document, "0.id", text("node_network_chaos"))
	traffic := strings.ToLower(e.value("TRAFFIC_TYPE"))
	for _, direction := range []string{"ingress", "egress"} {
		if err := setYAML(document, "0."+direction, fmt.Sprint(strings.Contains(traffic, direction))); err != nil {
			return err
		}
	}
	return nil
}

// wholeFile takes the scenario file from one variable.
func wholeFile(e *environment, document *yaml.Node) error {
	encoded := strings.Join(strings.Fields(e.value("SCENARIO_BASE64")), "")
	if encoded == "" {
		return errors.New("SCENARIO_BASE64: it is not set; want the scenario file in base64")
	}
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("SCENARIO_BASE64: %w", err)
	}
	var file yaml.Node
	if err := yaml.Unmarshal(content, &file); err != nil || len(file.Content) != 1 {
		return fmt.Errorf("SCENARIO_BASE64: got %d bytes that are no file of YAML", len(content))
	}
	*document = *file.Content[0]
	return nil
}

// nodeSelectors reads "k=v;k=v2;k2=v" as a map of lists.
func nodeSelectors(value string) (*yaml.Node, error) {
	all := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if value == "" {
		return all, nil
	}
	values := map[string]*yaml.Node{}
	for selector := range strings.SplitSeq(value, ";") {
		key, label, ok := strings.Cut(selector, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("NODE_SELECTORS: got %q, want labels such as key=value;key=value2", value)
		}
		if values[key] == nil {
			values[key] = list()
			all.Content = append(all.Content, text(key), values[key])
		}
		values[key].Content = append(values[key].Content, text(label))
	}
	return all, nil
}

func attackerNodes(path string) func(*environment, *yaml.Node) error {
	return func(e *environment, document *yaml.Node) error {
		selectors, err := nodeSelectors(e.value("NODE_SELECTORS"))
		if err != nil {
			return err
		}
		set(document, path, selectors)
		return nil
	}
}

// httpLoad reads TARGET_ENDPOINTS: "METHOD URL [HEADER:VALUE,… [BODY]];…".
func httpLoad(e *environment, document *yaml.Node) error {
	const scenario = "0.http_load_scenario."
	if err := attackerNodes(scenario+"attacker-nodes")(e, document); err != nil {
		return err
	}
	value := e.value("TARGET_ENDPOINTS")
	if value == "" {
		return errors.New(`TARGET_ENDPOINTS: it is not set; want "METHOD URL [HEADER:VALUE,… [BODY]];…"`)
	}
	endpoints := list()
	for entry := range strings.SplitSeq(value, ";") {
		words := strings.SplitN(strings.TrimSpace(entry), " ", 4)
		if len(words) < 2 {
			// A URL may hold a password.
			return fmt.Errorf(`TARGET_ENDPOINTS: entry %d has %d word(s), want "METHOD URL [HEADER:VALUE,… [BODY]]"`, len(endpoints.Content)+1, len(words))
		}
		endpoint := &yaml.Node{}
		set(endpoint, "method", text(words[0]))
		set(endpoint, "url", text(words[1]))
		if len(words) > 2 {
			headers := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			for header := range strings.SplitSeq(words[2], ",") {
				if name, value, ok := strings.Cut(header, ":"); ok {
					headers.Content = append(headers.Content, text(strings.TrimSpace(name)), text(strings.TrimSpace(value)))
				}
			}
			if len(headers.Content) > 0 {
				set(endpoint, "headers", headers)
			}
		}
		if len(words) > 3 && words[3] != "" {
			set(endpoint, "body", text(words[3]))
		}
		endpoints.Content = append(endpoints.Content, endpoint)
	}
	set(document, scenario+"targets.endpoints", endpoints)
	return nil
}

// zoneOutage removes the keys of the other cloud's template.
func zoneOutage(e *environment, document *yaml.Node) error {
	others := []string{"zone"}
	if strings.EqualFold(e.value("CLOUD_TYPE"), "gcp") {
		others = []string{"vpc_id", "subnet_id", "default_acl_id"}
	}
	for _, key := range others {
		drop(document, "zone_outage", key)
	}
	return nil
}

// ingress makes the second file of network-chaos, which has another scenario type.
func ingress(e *environment, document *yaml.Node) error {
	switch traffic := e.value("TRAFFIC_TYPE"); traffic {
	case "egress":
		return nil
	case "ingress":
	default:
		return fmt.Errorf("TRAFFIC_TYPE: got %q, want egress or ingress", traffic)
	}
	*document = yaml.Node{}
	e.scenarioType = "ingress_node_scenarios"
	set(document, "0.id", text("network_chaos"))
	for _, v := range [][2]string{
		{"TARGET_NODE_AND_INTERFACE", "node_interface_name"}, {"LABEL_SELECTOR", "label_selector"}, {"INSTANCE_COUNT", "instance_count"},
		{"EXECUTION", "execution_type"}, {"NETWORK_PARAMS", "network_params"}, {"WAIT_DURATION", "wait_duration"}, {"DURATION", "test_duration"}, {"IMAGE", "image"},
	} {
		if err := setYAML(document, "0.config."+v[1], e.value(v[0])); err != nil {
			return fmt.Errorf("%s: %w", v[0], err)
		}
	}
	return nil
}

// bareMetal makes the second file of node-scenarios.
func bareMetal(e *environment, document *yaml.Node) error {
	if cloud := e.value("CLOUD_TYPE"); cloud != "bm" && cloud != "baremetal" {
		return nil
	}
	const entry = "node_scenarios.0."
	for _, key := range []string{"parallel", "kube_check", "disable_ssl_verification"} {
		drop(document, "node_scenarios", "0", key)
	}
	info := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	machine := &yaml.Node{}
	for _, v := range []struct {
		name, key string
		of        *yaml.Node
	}{{"BMC_USER", entry + "bmc_user", document}, {"BMC_PASSWORD", entry + "bmc_password", document}, {"BMC_ADDR", "bmc_addr", machine}, {"DISKS", "disks", machine}} {
		n, err := parsed(e.value(v.name))
		if err != nil {
			return fmt.Errorf("%s: want a value of YAML", v.name)
		}
		set(v.of, v.key, n)
	}
	info.Content = []*yaml.Node{text(e.value("NODE_NAME")), machine}
	set(document, entry+"bmc_info", info)
	return nil
}

// killPods has the label or, if there is none, the pattern of names.
func killPods(e *environment, document *yaml.Node) error {
	set(document, "0.id", text("kill-pods"))
	other := "label_selector"
	if e.value("POD_LABEL") != "" {
		other = "name_pattern"
	}
	drop(document, "0", "config", other)
	return nil
}

// namespaceOrLabel removes the default namespace of the image if a label is given, since only one
// of the two is allowed.
func namespaceOrLabel(e *environment, document *yaml.Node) error {
	if e.get("NAMESPACE") == "" && e.get("LABEL_SELECTOR") != "" {
		drop(document, "scenarios", "0", "namespace")
	}
	return nil
}

func podNetworkOutage(e *environment, document *yaml.Node) error {
	set(document, "0.id", text("pod_network_outage"))
	if err := setYAML(document, "0.config.wait_duration", e.value("WAIT_DURATION")); err != nil {
		return fmt.Errorf("WAIT_DURATION: %w", err)
	}
	return nil
}
