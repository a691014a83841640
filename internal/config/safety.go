package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/schema"
)

// SafetyError means that keys are enabled with which Krkn would delay, pause, stop or judge a run,
// and which ebb does not support. A user who enables one relies on it.
type SafetyError struct{ schema.Problems }

// Unwrap returns the problems, each with its line and key.
func (e *SafetyError) Unwrap() error { return e.Problems }

// safetyKeys finds enabled safety keys, in the order of Krkn's own configuration.
func (l *loader) safetyKeys(ignore bool) {
	enabled := func(n *yaml.Node, key, what string) {
		if ignore {
			l.warn(n, key, "ignored as asked: %s", what)
			return
		}
		l.safety = append(l.safety, l.at(n, key, "%s, which ebb does not do", what))
	}
	on := func(what string, path ...string) {
		if v, _ := l.section(path[0])[path[1]].(bool); v {
			enabled(l.node(path...), strings.Join(path, "."), what)
		}
	}
	switch s := get[string](l, "kraken", "signal_state"); strings.ToUpper(s) {
	case "", "RUN":
	case "STOP":
		enabled(l.node("kraken", "signal_state"), "kraken.signal_state", fmt.Sprintf("%q asks to run nothing", s))
	default:
		enabled(l.node("kraken", "signal_state"), "kraken.signal_state", fmt.Sprintf("%q asks to wait for a signal before each scenario", s))
	}
	on("asks to serve an address at which others can pause or stop the run", "kraken", "publish_kraken_status")
	on("asks to stop when Cerberus finds the cluster unhealthy", "cerberus", "cerberus_enabled")
	on("asks to fail the run when alerts of the profile fire", "performance_monitoring", "enable_alerts")
	on("asks to stop when critical alerts fire", "performance_monitoring", "check_critical_alerts")
	if n := schema.Lookup(l.root, "triggers"); n != nil && !empty(n) {
		enabled(n, "triggers", "asks to wait for conditions before the first scenario, and to run none without them")
	}
	// A check without a target checks nothing. Krkn's own template has one.
	for i, v := range get[[]any](l, "health_checks", "config") {
		check, _ := v.(map[string]any)
		if on, _ := check["exit_on_failure"].(bool); on && set(check["url"]) {
			key := fmt.Sprintf("health_checks.config[%d].exit_on_failure", i)
			n := schema.Lookup(follow(l.node("health_checks", "config").Content[i]), "exit_on_failure")
			enabled(n, key, "asks to fail when a health check fails")
		}
	}
	if set(get[any](l, "kubevirt_checks", "namespace")) {
		on("asks to fail when virtual machines can't be reached", "kubevirt_checks", "exit_on_failure")
	}
}

// empty reports whether Krkn would treat a value as missing.
func empty(n *yaml.Node) bool {
	n = follow(n)
	if n.Kind == yaml.ScalarNode {
		return n.Value == "" || n.ShortTag() == "!!null" || strings.EqualFold(n.Value, "false")
	}
	return len(n.Content) == 0
}

func set(v any) bool { return v != nil && v != "" }
