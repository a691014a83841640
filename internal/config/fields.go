package config

import (
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/schema"
)

// sections are config.yaml's keys. What is Any is accepted and unused; so is every key that isn't here, but one in
// kraken or at the top may be a slip of the pen, and is warned of.
var sections = map[string]schema.Field{
	"kraken": {Type: schema.Map, Required: true, Fields: map[string]schema.Field{
		"kubeconfig_path":             {Type: schema.String},
		"auto_rollback":               {Type: schema.Bool, Default: true},
		"rollback_versions_directory": {Type: schema.String},
		"exit_on_failure":             {Type: schema.Bool, Default: false},
		"scenario_scripts_directory":  {Type: schema.String},
		"signal_state":                {Type: schema.String},
		"chaos_scenarios":             {Type: schema.Any}, // read by itself, with its lines
		"signal_address":              {Type: schema.Any},
		"publish_kraken_status":       {Type: schema.Any},
		"port":                        {Type: schema.Any},
		"generate_pdf_report":         {Type: schema.Any},
		"distribution":                {Type: schema.Any},
	}},
	"tunings": {Type: schema.Map, Fields: map[string]schema.Field{
		"wait_duration": {Type: schema.Duration, Default: int64(defaultWait)},
		"iterations":    {Type: schema.Int, Default: int64(defaultIterations), Min: &one},
		"daemon_mode":   {Type: schema.Bool, Default: false},
	}},
	"performance_monitoring": {Type: schema.Map, Fields: map[string]schema.Field{
		"uuid":                  {Type: schema.String},
		"check_critical_alerts": {Type: schema.Bool},
	}},
	"cerberus": {Type: schema.Map, Fields: map[string]schema.Field{
		"cerberus_enabled": {Type: schema.Bool},
	}},
	"health_checks": {Type: schema.Map, Fields: map[string]schema.Field{
		"config": {Type: schema.List, Items: &schema.Field{Type: schema.Map, Fields: map[string]schema.Field{
			"url":             {Type: schema.Any},
			"exit_on_failure": {Type: schema.Bool},
		}}},
	}},
	"kubevirt_checks": {Type: schema.Map, Fields: map[string]schema.Field{
		"namespace":       {Type: schema.Any},
		"exit_on_failure": {Type: schema.Bool},
	}},
	"resiliency": {Type: schema.Any},
	"elastic":    {Type: schema.Any},
	"telemetry":  {Type: schema.Any},
}

var one = 1.0

// read reports whether a run depends on a key: a mistake in it is an error.
func read(key string) bool {
	if strings.HasPrefix(key, "kraken.chaos_scenarios") {
		return true
	}
	section, name, nested := strings.Cut(key, ".")
	f, ok := sections[section]
	if !nested {
		return ok && f.Type == schema.Map
	}
	// A key of a health check is read when the list is: its index and its own name don't matter here.
	name, _, _ = strings.Cut(name, "[")
	f, ok = f.Fields[name]
	return ok && f.Type != schema.Any
}

// needed reports whether an undo depends on a key.
func needed(key string) bool {
	return slices.Contains([]string{"kraken", "kraken.kubeconfig_path", "kraken.rollback_versions_directory"}, key)
}
