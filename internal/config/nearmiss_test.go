package config_test

import (
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/config"
)

// A key that resembles one that is read, or stands in the wrong section, is a mistake: whoever wrote
// it wants something that would not be done.
func TestNearMisses(t *testing.T) {
	const whole = "kraken:\n  rollback_versions_directory: v\n  chaos_scenarios: [{hog_scenarios: [a.yml]}]\n"
	for _, test := range []struct{ lines, key, want string }{
		{"  rollback_versions_dir: x", "kraken.rollback_versions_dir", "rollback_versions_directory"},
		{"  rollback_directory: x", "kraken.rollback_directory", "rollback_versions_directory"},
		{"  versions_directory: x", "kraken.versions_directory", "rollback_versions_directory"},
		{"  auto_rollback_enabled: False", "kraken.auto_rollback_enabled", "auto_rollback"},
		{"  AutoRollback: False", "kraken.AutoRollback", "auto_rollback"},
		{"  kubeconfig: /x", "kraken.kubeconfig", "kubeconfig_path"},
		{"  wait_duration: 5", "kraken.wait_duration", "tunings.wait_duration"},
		{"  daemon_mode: True", "kraken.daemon_mode", "tunings.daemon_mode"},
		{"  cerberus-enabled: True", "kraken.cerberus-enabled", "cerberus.cerberus_enabled"},
		{"auto_rollback: False", "auto_rollback", "kraken.auto_rollback"},
		{"check_critical_alerts: True", "check_critical_alerts", "performance_monitoring.check_critical_alerts"},
		{"tunings:\n  exit_on_failure: True", "tunings.exit_on_failure", "kraken.exit_on_failure"},
		{"tunings:\n  wait_time: 5", "tunings.wait_time", "wait_duration"},
		{"tunings:\n  daemon: True", "tunings.daemon", "daemon_mode"},
		{"cerberus:\n  enabled: True", "cerberus.enabled", "cerberus_enabled"},
		{"performance_monitoring:\n  critical_alerts: True", "performance_monitoring.critical_alerts", "check_critical_alerts"},
		{"Health-Check:\n  config: []", "Health-Check", "health_checks"},
		{"  made_up: True", "", ""},
		{"performance_monitoring:\n  capture_metrics: True", "", ""},
		{"daemon_mode: &always True\ntunings:\n  daemon_mode: *always", "", ""},
	} {
		write(t, "c.yaml", whole+test.lines+"\n")
		_, err := config.Load("c.yaml", config.Options{})
		if test.key == "" {
			if err != nil {
				t.Errorf("%s: %v", test.lines, err)
			}
			continue
		}
		if want := `key "` + test.key + `": unknown; did you mean "` + test.want + `"?`; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", test.lines, err, want)
		}
	}
}
