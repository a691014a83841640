package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/schema"
)

// safetyKeys finds enabled keys with which Krkn would wait, or stop, and ebb would go on. Who set one relies on it, so
// going on in silence is the one thing not to do.
func (l *loader) safetyKeys(ignore bool) {
	enabled := func(n *yaml.Node, key, what string) {
		if ignore {
			l.warn(n, key, "ignored as asked: %s", what)
			return
		}
		l.problem(n, key, "%s, which ebb does not do; switch it off, or add --ignore-safety-keys", what)
	}
	if s := get[string](l, "kraken", "signal_state"); s != "" && !strings.EqualFold(s, "RUN") {
		enabled(l.at("kraken", "signal_state"), "kraken.signal_state", fmt.Sprintf("%q asks to wait for a signal before each scenario", s))
	}
	if get[bool](l, "cerberus", "cerberus_enabled") {
		enabled(l.at("cerberus", "cerberus_enabled"), "cerberus.cerberus_enabled", "asks to stop when Cerberus finds the cluster unhealthy")
	}
	if get[bool](l, "performance_monitoring", "check_critical_alerts") {
		enabled(l.at("performance_monitoring", "check_critical_alerts"), "performance_monitoring.check_critical_alerts",
			"asks to stop when critical alerts fire")
	}
	// A check without a target checks nothing: Krkn's own template has one.
	for i, v := range get[[]any](l, "health_checks", "config") {
		check, _ := v.(map[string]any)
		if on, _ := check["exit_on_failure"].(bool); on && set(check["url"]) {
			key := fmt.Sprintf("health_checks.config[%d].exit_on_failure", i)
			n := schema.Lookup(follow(l.at("health_checks", "config").Content[i]), "exit_on_failure")
			enabled(n, key, "asks to stop when a health check fails")
		}
	}
	if get[bool](l, "kubevirt_checks", "exit_on_failure") && set(get[any](l, "kubevirt_checks", "namespace")) {
		enabled(l.at("kubevirt_checks", "exit_on_failure"), "kubevirt_checks.exit_on_failure", "asks to fail when virtual machines can't be reached")
	}
}

func set(v any) bool { return v != nil && v != "" }
