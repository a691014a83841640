package config

import (
	"strings"

	"github.com/ebb-chaos/ebb/schema"
)

// sections are the keys of config.yaml, as Krkn has them. A key of type Any is accepted and has no
// effect. A key that is not listed is unknown: an error if it resembles one that is read, otherwise
// a warning.
var sections = map[string]schema.Field{
	"kraken": {Type: schema.Map, Required: true, Fields: map[string]schema.Field{
		"kubeconfig_path":                {Type: schema.String},
		"auto_rollback":                  {Type: schema.Bool, Default: true},
		"rollback_versions_directory":    {Type: schema.String},
		"rollback_directory_trust":       {Type: schema.String, Enum: []any{"auto", "strict", "volume"}},
		"rollback_store":                 {Type: schema.String, Enum: []any{"directory", "cluster", "both"}},
		"rollback_store_kubeconfig_path": {Type: schema.String},
		"rollback_store_namespace":       {Type: schema.String},
		"rollback_store_required":        {Type: schema.Bool, Default: true},
		"rollback_signing_key_path":      {Type: schema.String},
		"rollback_events":                {Type: schema.Bool, Default: true},
		"rollback_public_keys_path":      {Type: schema.String},
		"exit_on_failure":                {Type: schema.Bool, Default: false},
		"scenario_scripts_directory":     {Type: schema.String},
		"signal_state":                   {Type: schema.String},
		"chaos_scenarios":                {Type: schema.Any}, // read separately, with line numbers
		"signal_address":                 {Type: schema.Any},
		"publish_kraken_status":          {Type: schema.Bool},
		"port":                           {Type: schema.Any},
		"generate_pdf_report":            {Type: schema.Any},
		"distribution":                   {Type: schema.Any},
	}},
	"tunings": {Type: schema.Map, Fields: map[string]schema.Field{
		"wait_duration": {Type: schema.Duration, Default: int64(defaultWait)},
		"iterations":    {Type: schema.Int, Default: int64(defaultIterations), Min: &one},
		"daemon_mode":   {Type: schema.Bool, Default: false},
	}},
	"performance_monitoring": {Type: schema.Map, Fields: map[string]schema.Field{
		"uuid":                    {Type: schema.String},
		"check_critical_alerts":   {Type: schema.Bool},
		"enable_alerts":           {Type: schema.Bool},
		"enable_metrics":          {Type: schema.Any},
		"alert_profile":           {Type: schema.Any},
		"metrics_profile":         {Type: schema.Any},
		"prometheus_url":          {Type: schema.Any},
		"prometheus_bearer_token": {Type: schema.Any},
	}},
	"cerberus": {Type: schema.Map, Fields: map[string]schema.Field{
		"cerberus_enabled":         {Type: schema.Bool},
		"cerberus_url":             {Type: schema.Any},
		"check_application_routes": {Type: schema.Any}, // has no effect without cerberus_enabled
	}},
	"health_checks": {Type: schema.Map, Fields: map[string]schema.Field{
		"interval": {Type: schema.Any},
		"config": {Type: schema.List, Items: &schema.Field{Type: schema.Map, Fields: map[string]schema.Field{
			"url":             {Type: schema.Any},
			"bearer_token":    {Type: schema.Any},
			"auth":            {Type: schema.Any},
			"verify_url":      {Type: schema.Any},
			"exit_on_failure": {Type: schema.Bool},
		}}},
	}},
	"kubevirt_checks": {Type: schema.Map, Fields: map[string]schema.Field{
		"interval":        {Type: schema.Any},
		"namespace":       {Type: schema.Any},
		"name":            {Type: schema.Any},
		"label_selector":  {Type: schema.Any},
		"only_failures":   {Type: schema.Any},
		"disconnected":    {Type: schema.Any},
		"ssh_node":        {Type: schema.Any},
		"node_names":      {Type: schema.Any},
		"exit_on_failure": {Type: schema.Bool},
	}},
	"triggers":             {Type: schema.Any}, // any trigger delays the run: see safety.go
	"simple_health_checks": {Type: schema.Any},
	"resiliency":           {Type: schema.Any},
	"elastic":              {Type: schema.Any},
	"telemetry":            {Type: schema.Any},
}

// readRaw are the keys of type Any that are read as YAML.
var readRaw = []string{"kraken.chaos_scenarios", "triggers"}

var one = 1.0

// read reports whether a run depends on a key. A mistake in such a key is an error.
func read(key string) bool {
	for _, raw := range readRaw {
		if rest, ok := strings.CutPrefix(key, raw); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	f, ok := field(key)
	return ok && f.Type != schema.Any
}

// field looks up a key in [sections]. Indices of lists are ignored.
func field(key string) (f schema.Field, ok bool) {
	fields := sections
	for i, name := range strings.Split(key, ".") {
		name, _, indexed := strings.Cut(name, "[")
		if f, ok = fields[name]; !ok {
			return f, false
		}
		if indexed && f.Items != nil {
			f = *f.Items
		}
		if fields = f.Fields; fields == nil && i < strings.Count(key, ".") {
			return f, false
		}
	}
	return f, ok
}

// needed reports whether an undo depends on a key.
func needed(key string) bool {
	return key == "kraken" || key == "kraken.kubeconfig_path" || strings.HasPrefix(key, "kraken.rollback_")
}
