package krkn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// A callable is one of Krkn's functions that undo something.
type callable struct {
	scenarioType string
	read         func(f *fields) map[string]any
}

// callables are all that Krkn has, by their names.
var callables = map[string]callable{
	"rollback_network_policy":    {"application_outages_scenarios", readNamed("krkn-deny-")},
	"rollback_hog_pod":           {"hog_scenarios", readNamed("cpu-hog-", "memory-hog-", "io-hog-")},
	"rollback_http_load_pods":    {"http_load_scenarios", readPods("http-load-")},
	"rollback_syn_flood_pods":    {"syn_flood_scenarios", readPods("syn-flood-")},
	"rollback_temp_file":         {"pvc_scenarios", readTempFile},
	"rollback_service_hijacking": {"service_hijacking_scenarios", readHijacking},
	"rollback_shutdown_nodes":    {"cluster_shut_down_scenarios", readShutdown},
	"rollback_throttle":          {"storage_throttle_scenarios", readThrottle},
	"rollback_gcp_zone_outage":   {"zone_outages_scenarios", readZone},
}

// fields reads the fields of a content. It keeps the first error. Values that are read after an
// error must not be used.
type fields struct {
	arguments map[string]any
	err       error
	doubt     error
}

func (f *fields) failf(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// argument returns a string argument, "" for None.
func (f *fields) argument(name string) string {
	value, _ := f.arguments[name].(string)
	return value
}

func (f *fields) namespace() string {
	return f.dns("namespace", f.argument("namespace"), validation.IsDNS1123Label)
}

// dns checks the name of an object of the cluster.
func (f *fields) dns(what, name string, check func(string) []string) string {
	if problems := check(name); len(problems) > 0 {
		f.failf("%s: got %q: %s", what, name, problems[0])
	}
	return name
}

// krkns checks the name of an object that Krkn made. A name that Krkn would not have chosen is a
// doubt, since nothing else shows that Krkn made the object.
func (f *fields) krkns(what, name string, prefixes ...string) string {
	f.dns(what, name, validation.IsDNS1123Subdomain)
	if !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) && name != prefix }) && f.doubt == nil {
		f.doubt = fmt.Errorf("%s is %q, and Krkn's begin with %s", what, name, strings.Join(prefixes, " or "))
	}
	return name
}

// data decodes the JSON in base64 that resource_identifier is, into what v points to.
func (f *fields) data(v any) bool {
	text := f.argument("resource_identifier")
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err == nil && len(decoded) == 0 {
		err = errors.New("it is empty")
	}
	if err == nil {
		err = json.Unmarshal(decoded, v)
	}
	if err != nil {
		f.failf("resource_identifier is no JSON in base64: %w", err)
	}
	return err == nil
}

// object decodes an object with exactly these keys.
func (f *fields) object(keys ...string) object {
	var values map[string]any
	if f.data(&values) {
		if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, slices.Sorted(slices.Values(keys))) {
			f.failf("resource_identifier has the keys %q, want %q", got, keys)
		}
	}
	return object{f, values}
}

// object is what was decoded.
type object struct {
	*fields
	values map[string]any
}

func (o object) text(key string) string {
	value, ok := o.values[key].(string)
	if !ok && o.err == nil {
		o.failf("%s: got %v, want a string", key, o.values[key])
	}
	return value
}

// readNamed reads the name of one thing.
func readNamed(prefixes ...string) func(f *fields) map[string]any {
	return func(f *fields) map[string]any {
		return map[string]any{
			"namespace": f.namespace(),
			"name":      f.krkns("resource_identifier", f.argument("resource_identifier"), prefixes...),
		}
	}
}

// readPods reads the names of pods.
func readPods(prefix string) func(f *fields) map[string]any {
	return func(f *fields) map[string]any {
		var names []string
		if f.data(&names) && len(names) == 0 {
			f.failf("resource_identifier names no pods")
		}
		return map[string]any{"namespace": f.namespace(), "pods": f.names("pod", names, prefix)}
	}
}

// maxNames is more than any cluster has nodes.
const maxNames = 20000

// names checks names of objects that Krkn made or, without prefixes, of other objects.
func (f *fields) names(what string, names []string, prefixes ...string) []any {
	if len(names) > maxNames {
		f.failf("it names %d times a %s, want at most %d", len(names), what, maxNames)
		return nil
	}
	for _, name := range names {
		if len(prefixes) > 0 {
			f.krkns(what, name, prefixes...)
		} else {
			f.dns(what, name, validation.IsDNS1123Subdomain)
		}
	}
	return once(names)
}

// once returns the texts without repetitions, in their order.
func once(texts []string) []any {
	var all []any
	seen := map[string]bool{}
	for _, text := range texts {
		if !seen[text] {
			all = append(all, text)
		}
		seen[text] = true
	}
	return all
}

func readTempFile(f *fields) map[string]any {
	o := f.object("pod_name", "container_name", "mount_path", "file_name", "full_path")
	directory, name, full := o.text("mount_path"), o.text("file_name"), o.text("full_path")
	if f.err == nil {
		switch {
		case !strings.HasPrefix(directory, "/") || path.Clean(directory) != strings.TrimRight(directory, "/") && directory != "/" || strings.ContainsAny(directory, "\n\x00"):
			f.failf("mount_path: got %q, want an absolute path", directory)
		case name == "" || strings.ContainsAny(name, "/\n\x00") || name == "." || name == "..":
			f.failf("file_name: got %q, want the name of a file", name)
		case full != directory+"/"+name:
			f.failf("full_path: got %q, want %q", full, directory+"/"+name)
		case name != "kraken.tmp":
			f.doubt = fmt.Errorf("file_name is %q, and Krkn's is kraken.tmp", name)
		}
	}
	return map[string]any{
		"namespace": f.namespace(),
		"pod":       f.dns("pod_name", o.text("pod_name"), validation.IsDNS1123Subdomain),
		"container": f.dns("container_name", o.text("container_name"), validation.IsDNS1123Label),
		"directory": directory, "path": full,
	}
}

func readHijacking(f *fields) map[string]any {
	o := f.object("service_name", "service_namespace", "original_selectors", "webservice_pod_name")
	selector, ok := o.values["original_selectors"].(map[string]any)
	if !ok && f.err == nil {
		f.failf("original_selectors: got %v, want labels", o.values["original_selectors"])
	}
	for key, value := range selector {
		text, ok := value.(string)
		if len(validation.IsQualifiedName(key)) > 0 || !ok || len(validation.IsValidLabelValue(text)) > 0 {
			f.failf("original_selectors: got %q: %v, want a label", key, value)
		}
	}
	if f.err == nil && len(selector) == 0 {
		f.failf("original_selectors: got none, want labels")
	}
	namespace := f.dns("service_namespace", o.text("service_namespace"), validation.IsDNS1123Label)
	if own := f.argument("namespace"); own != namespace {
		f.failf("namespace is %q and service_namespace is %q, want the same", own, namespace)
	}
	return map[string]any{
		"namespace": namespace,
		"service":   f.dns("service_name", o.text("service_name"), validation.IsDNS1035Label),
		"selector":  selector,
		"pod":       f.krkns("webservice_pod_name", o.text("webservice_pod_name"), "service-hijacking-pod-"),
	}
}

// The forms of the names of instances.
var (
	awsInstance = lazyregexp.New(`^i-[0-9a-f]{1,40}$`)
	gcpInstance = lazyregexp.New(`^[a-z][a-z0-9-]{0,62}$`)
)

func readShutdown(f *fields) map[string]any {
	cloudType := f.argument("cloud_type")
	ids, _ := f.arguments["instance_ids"].([]any)
	if cloudType == "" || len(ids) == 0 { // as older files have it
		cloudType = ""
		before, after, ok := strings.Cut(f.argument("resource_identifier"), ":")
		if ok {
			cloudType, ids = before, nil
		}
		for id := range strings.SplitSeq(after, ",") {
			if id = strings.TrimSpace(id); id != "" {
				ids = append(ids, id)
			}
		}
	}
	// Krkn writes None for a node whose instance it did not find, and starts the others.
	ids = slices.DeleteFunc(slices.Clone(ids), func(id any) bool { return id == nil })
	cloudType = strings.ToLower(cloudType)
	form := map[string]*lazyregexp.Regexp{"aws": awsInstance, "gcp": gcpInstance}[cloudType]
	switch {
	case cloudType == "" || len(ids) == 0:
		f.failf("it names no cloud or no instances")
	case form == nil:
		f.failf("its cloud is %q: aws and gcp can be undone", cloudType)
	case len(ids) > maxNames:
		f.failf("it names %d instances, want at most %d", len(ids), maxNames)
	}
	var instances []string
	for _, id := range ids {
		text, ok := id.(string)
		if f.err == nil && (!ok || !form.MatchString(text)) {
			f.failf("instance_ids: got %v, which is no instance of %s", id, cloudType)
		}
		instances = append(instances, text)
	}
	return map[string]any{"cloud_type": cloudType, "instances": once(instances)}
}

// The forms of where a limit is.
var (
	device   = lazyregexp.New(`^[0-9]{1,6}:[0-9]{1,8}$`)
	cgroup   = lazyregexp.New(`^(/[A-Za-z0-9_.:@\\-]+)+$`)
	podInUID = lazyregexp.New(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})`)
)

func readThrottle(f *fields) map[string]any {
	o := f.object("priv_pod_name", "maj_min", "cgroup_path", "cgroup_version")
	majMin, group, version := o.text("maj_min"), o.text("cgroup_path"), o.text("cgroup_version")
	uid := podInUID.FindStringSubmatch(group)
	if f.err == nil {
		switch {
		case !device.MatchString(majMin):
			f.failf("maj_min: got %q, want the two numbers of a device, such as 8:0", majMin)
		case !cgroup.MatchString(group) || slices.Contains(strings.Split(group, "/"), ".."):
			f.failf("cgroup_path: got %q, want the path of a cgroup", group)
		case version != "v1" && version != "v2":
			f.failf("cgroup_version: got %q, want v1 or v2", version)
		case uid == nil:
			f.failf("cgroup_path: got %q, which names no pod: which node it is on can't be told", group)
		}
	}
	if f.err != nil {
		return nil
	}
	return map[string]any{
		"namespace":      f.namespace(),
		"krkn_pod":       f.krkns("priv_pod_name", o.text("priv_pod_name"), "io-throttle-"),
		"device":         majMin,
		"cgroup":         group,
		"cgroup_version": int64(version[1] - '0'),
		"pod_uid":        strings.ReplaceAll(uid[1], "_", "-"),
	}
}

func readZone(f *fields) map[string]any {
	o := f.object("nodes", "timeout", "kube_check")
	list, ok := o.values["nodes"].([]any)
	if f.err == nil && (!ok || len(list) == 0) {
		f.failf("nodes: got %v, want names", o.values["nodes"])
	}
	var names []string
	for _, node := range list {
		name, ok := node.(string)
		if !ok {
			f.failf("nodes: got %v, want names", node)
		}
		names = append(names, name)
	}
	timeout, ok := o.values["timeout"].(float64)
	if f.err == nil && (!ok || timeout < 0 || timeout > 1e6) {
		f.failf("timeout: got %v, want seconds", o.values["timeout"])
	}
	return map[string]any{"nodes": f.names("node", names)}
}
