package krkn

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// file is a version file of Krkn's shape around a content. Its code does nothing.
func file(callable, content string) string {
	return `# written for a test
from typing import Optional

class RollbackContent:
    namespace: Optional[str] = None

# the function
def ` + callable + `(
    rollback_content: RollbackContent,
    lib_telemetry,
):
    """Undoes something."""
    pass

# the variables
lib_telemetry = None
rollback_content = ` + content + `

if __name__ == '__main__':
    ` + callable + `(
        rollback_content,
        lib_telemetry
    )`
}

func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

type m = map[string]any

func content(namespace string, data any) string {
	return fmt.Sprintf("RollbackContent(namespace=%q, resource_identifier=%q, cloud_type=None, instance_ids=None, skip_kubernetes=False)", namespace, encoded(data))
}

const group = "/kubepods.slice/kubepods-pod01234567_0123_0123_0123_0123456789ab.slice/crio-ff.scope"

var (
	tempFile = m{"pod_name": "db", "container_name": "app", "mount_path": "/data", "file_name": "kraken.tmp", "full_path": "/data/kraken.tmp"}
	hijacked = m{"service_name": "web", "service_namespace": "shop", "original_selectors": m{"app": "web"}, "webservice_pod_name": "service-hijacking-pod-abcde"}
	throttle = m{"priv_pod_name": "io-throttle-0123456789", "maj_min": "8:0", "cgroup_path": group, "cgroup_version": "v2"}
	zone     = m{"nodes": []string{"node-1", "node-2", "node-1"}, "timeout": 180, "kube_check": true}
)

// with returns a copy of an object with one key changed; nil removes it.
func with(o m, key string, value any) m {
	c := m{}
	for k, v := range o {
		c[k] = v
	}
	if c[key] = value; value == nil {
		delete(c, key)
	}
	return c
}

// Each of Krkn's nine callables.
func TestFields(t *testing.T) {
	for _, test := range []struct {
		callable, content, scenarioType string
		want                            m
	}{
		{"rollback_network_policy", `RollbackContent(namespace="shop", resource_identifier="krkn-deny-abcde")`, "application_outages_scenarios", m{"namespace": "shop", "name": "krkn-deny-abcde"}},
		{"rollback_hog_pod", `RollbackContent(namespace="shop", resource_identifier="cpu-hog-abcde", cloud_type=None)`, "hog_scenarios", m{"namespace": "shop", "name": "cpu-hog-abcde"}},
		{"rollback_http_load_pods", content("shop", []string{"http-load-a", "http-load-b", "http-load-a"}), "http_load_scenarios", m{"namespace": "shop", "pods": []any{"http-load-a", "http-load-b"}}},
		{"rollback_syn_flood_pods", content("shop", []string{"syn-flood-a"}), "syn_flood_scenarios", m{"namespace": "shop", "pods": []any{"syn-flood-a"}}},
		{"rollback_temp_file", content("shop", tempFile), "pvc_scenarios", m{"namespace": "shop", "pod": "db", "container": "app", "directory": "/data", "path": "/data/kraken.tmp"}},
		{"rollback_service_hijacking", content("shop", hijacked), "service_hijacking_scenarios", m{"namespace": "shop", "service": "web", "selector": m{"app": "web"}, "pod": "service-hijacking-pod-abcde"}},
		{"rollback_shutdown_nodes", `RollbackContent(namespace=None, resource_identifier="", cloud_type="AWS", instance_ids=('i-0a', 'i-0b'), skip_kubernetes=True)`, "cluster_shut_down_scenarios", m{"cloud_type": "aws", "instances": []any{"i-0a", "i-0b"}}},
		{"rollback_shutdown_nodes", `RollbackContent(resource_identifier="gcp:node-1, node-2,")`, "cluster_shut_down_scenarios", m{"cloud_type": "gcp", "instances": []any{"node-1", "node-2"}}},
		// Krkn found no instance of the second node.
		{"rollback_shutdown_nodes", `RollbackContent(namespace=None, resource_identifier="", cloud_type="gcp", instance_ids=('node-1', None), skip_kubernetes=True)`, "cluster_shut_down_scenarios", m{"cloud_type": "gcp", "instances": []any{"node-1"}}},
		{"rollback_throttle", content("shop", throttle), "storage_throttle_scenarios", m{"namespace": "shop", "krkn_pod": "io-throttle-0123456789", "device": "8:0", "cgroup": group, "cgroup_version": int64(2), "pod_uid": "01234567-0123-0123-0123-0123456789ab"}},
		{"rollback_gcp_zone_outage", `RollbackContent(namespace=None, resource_identifier="` + encoded(zone) + `", skip_kubernetes=False)`, "zone_outages_scenarios", m{"nodes": []any{"node-1", "node-2"}}},
	} {
		got, err := Parse([]byte(file(test.callable, test.content)))
		if err != nil {
			t.Errorf("%s: %v", test.callable, err)
			continue
		}
		if !reflect.DeepEqual(got.Fields, test.want) || got.ScenarioType != test.scenarioType || got.Callable != test.callable {
			t.Errorf("%s: got %s %v, want %s %v", test.callable, got.ScenarioType, got.Fields, test.scenarioType, test.want)
		}
		if got.Doubt == nil || !strings.Contains(got.Doubt.Error(), "any known Krkn") {
			t.Errorf("%s: got the doubt %v, want that its code is not known", test.callable, got.Doubt)
		}
	}
}

// known makes the code of a file known while a test runs.
func known(t *testing.T, source string) {
	t.Helper()
	f, err := split(source)
	if err != nil {
		t.Fatal(err)
	}
	code, frames := knownCode[f.name], knownFrames
	knownCode[f.name] = append(code[:len(code):len(code)], digest(f.code))
	knownFrames = append(frames[:len(frames):len(frames)], digest(f.frame))
	t.Cleanup(func() { knownCode[f.name], knownFrames = code, frames })
}

// An edit anywhere is a doubt, and so is a name that Krkn would not give.
func TestDoubts(t *testing.T) {
	source := file("rollback_hog_pod", `RollbackContent(namespace="shop", resource_identifier="cpu-hog-abcde")`)
	known(t, source)
	for _, test := range []struct{ name, old, new, want string }{
		{"as it was", "", "", ""},
		{"another line at the end", "    )", "    )\n", ""},
		{"another content", "cpu-hog-abcde", "io-hog-bcdef", ""},
		// What Python reads as the same source.
		{"Windows' ends of lines", "\n", "\r\n", ""},
		{"ends of lines of old", "\n", "\r", ""},
		{"a byte order mark", "# written", byteOrderMark + "# written", ""},
		{"a mark within", "if __name__", byteOrderMark + "if __name__", "around its function"},
		{"a line that only Python sees", "abcde\")", "abcde\") # \rrollback_content = None", "2 times"},
		{"the function", "    pass", "    import os", "its function rollback_hog_pod"},
		{"before the function", "class RollbackContent:", "import os\nclass RollbackContent:", "around its function"},
		{"after the content", "if __name__", "print(1)\nif __name__", "around its function"},
		{"another call", "    rollback_hog_pod(\n", "    print(\n", "around its function"},
		{"a pod of somebody else's", "cpu-hog-abcde", "database-0", `resource_identifier is "database-0"`},
	} {
		times := 1
		if test.old == "\n" {
			times = -1
		}
		got, err := Parse([]byte(strings.Replace(source, test.old, test.new, times)))
		switch {
		case err != nil && strings.Contains(err.Error(), cmp.Or(test.want, "nothing is wrong")):
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want == "" && got.Doubt != nil:
			t.Errorf("%s: got the doubt %v, want none", test.name, got.Doubt)
		case test.want != "" && (got.Doubt == nil || !strings.Contains(got.Doubt.Error(), test.want)):
			t.Errorf("%s: got the doubt %v, want %s", test.name, got.Doubt, test.want)
		}
	}
}

// What is no plain content is refused, whatever a person says.
func TestRefused(t *testing.T) {
	plain := `RollbackContent(namespace="shop", resource_identifier="cpu-hog-abcde")`
	hog := func(content string) string { return file("rollback_hog_pod", content) }
	for name, test := range map[string]struct{ source, want string }{
		"nothing":                  {"", "assigns rollback_content 0 times"},
		"no text":                  {"\xff\xfe", "no text in UTF-8"},
		"another encoding":         {"# -*- coding: utf-7 -*-\n" + hog(plain), "encoded in utf-7"},
		"another, in line 2":       {"#!/usr/bin/python3\n# vim: set fileencoding=latin-1 :\n" + hog(plain), "encoded in latin-1"},
		"NUL":                      {hog(plain) + "\x00", "no text in UTF-8"},
		"another function":         {file("rollback_everything", plain), "none of Krkn's callables"},
		"two functions":            {file("rollback_hog_pod", plain) + "\ndef more():\n    pass\n", "defines 2 functions"},
		"two contents":             {hog(plain) + "\nrollback_content = 1\n", "2 times"},
		"content before function":  {"rollback_content = " + plain + "\ndef rollback_hog_pod():\n    pass\n", "comes before"},
		"a call":                   {hog(`RollbackContent(namespace="shop", resource_identifier=__import__("os").getcwd())`), `got "__import__", want a literal`},
		"a sum":                    {hog(`RollbackContent(namespace="shop", resource_identifier="a" + "b")`), "want , or )"},
		"a formatted string":       {hog(`RollbackContent(namespace=f"{1}", resource_identifier="a")`), "formatted string"},
		"bytes":                    {hog(`RollbackContent(namespace=b"shop", resource_identifier="a")`), "got bytes"},
		"another constructor":      {hog(`Content(namespace="shop")`), "want RollbackContent(…)"},
		"a positional argument":    {hog(`RollbackContent("shop")`), "want a keyword"},
		"an unpacked argument":     {hog(`RollbackContent(**x)`), "want a keyword"},
		"a keyword twice":          {hog(`RollbackContent(namespace="a", namespace="b")`), "given twice"},
		"an unknown keyword":       {hog(`RollbackContent(namespace="a", command="b")`), "does not have"},
		"code behind":              {hog(plain + "; import os"), "after RollbackContent"},
		"a method call":            {hog(plain + ".run()"), "after RollbackContent"},
		"no end":                   {hog(`RollbackContent(namespace="shop"`), "line"},
		"nested":                   {hog(`RollbackContent(instance_ids=` + strings.Repeat("(", 1000)), "nested deeper"},
		"a number for a string":    {hog(`RollbackContent(namespace=1)`), "is a number, want a string"},
		"no namespace":             {hog(`RollbackContent(resource_identifier="cpu-hog-abcde")`), "namespace"},
		"another namespace's path": {hog(`RollbackContent(namespace="../kube-system", resource_identifier="cpu-hog-a")`), "namespace"},
		"an empty name":            {hog(`RollbackContent(namespace="shop", resource_identifier="")`), "resource_identifier"},
		"encoded twice":            {file("rollback_syn_flood_pods", content("shop", encoded([]string{"syn-flood-a"}))), "no JSON in base64"},
		"no base64":                {file("rollback_syn_flood_pods", `RollbackContent(namespace="shop", resource_identifier="[]")`), "no JSON in base64"},
		"no pods":                  {file("rollback_syn_flood_pods", content("shop", []string{})), "names no pods"},
		"a pod that is a number":   {file("rollback_syn_flood_pods", content("shop", []any{1})), "no JSON in base64"},
		"nested JSON":              {file("rollback_syn_flood_pods", content("shop", []any{[]any{"a"}})), "no JSON in base64"},
		"an option as a path":      {file("rollback_temp_file", content("shop", with(tempFile, "mount_path", "-rf"))), "mount_path"},
		"a path that climbs":       {file("rollback_temp_file", content("shop", with(tempFile, "mount_path", "/data/.."))), "mount_path"},
		"another path":             {file("rollback_temp_file", content("shop", with(tempFile, "full_path", "/etc/passwd"))), "full_path"},
		"no container":             {file("rollback_temp_file", content("shop", with(tempFile, "container_name", nil))), "has the keys"},
		"a key too many":           {file("rollback_temp_file", content("shop", with(tempFile, "command", "x"))), "has the keys"},
		"a selector of numbers":    {file("rollback_service_hijacking", content("shop", with(hijacked, "original_selectors", m{"app": 1}))), "original_selectors"},
		"no selector":              {file("rollback_service_hijacking", content("shop", with(hijacked, "original_selectors", m{}))), "original_selectors"},
		"two namespaces":           {file("rollback_service_hijacking", content("other", hijacked)), "want the same"},
		"another cloud":            {file("rollback_shutdown_nodes", `RollbackContent(cloud_type="azure", instance_ids=(("vm", "group"),))`), "aws and gcp can be undone"},
		"no instance":              {file("rollback_shutdown_nodes", `RollbackContent(cloud_type="aws", instance_ids=('vm',))`), "no instance of aws"},
		"only None":                {file("rollback_shutdown_nodes", `RollbackContent(cloud_type="aws", instance_ids=(None,))`), "names no cloud"},
		"no instances":             {file("rollback_shutdown_nodes", `RollbackContent(cloud_type="aws", instance_ids=())`), "names no cloud"},
		"a device of shell":        {file("rollback_throttle", content("shop", with(throttle, "maj_min", "8:0; reboot"))), "maj_min"},
		"a cgroup of shell":        {file("rollback_throttle", content("shop", with(throttle, "cgroup_path", group+"$(reboot)"))), "cgroup_path"},
		"a cgroup that climbs":     {file("rollback_throttle", content("shop", with(throttle, "cgroup_path", "/.."+group))), "cgroup_path"},
		"a cgroup of no pod":       {file("rollback_throttle", content("shop", with(throttle, "cgroup_path", "/system.slice"))), "names no pod"},
		"no nodes":                 {file("rollback_gcp_zone_outage", content("", with(zone, "nodes", []string{}))), "nodes"},
		"a timeout of text":        {file("rollback_gcp_zone_outage", content("", with(zone, "timeout", "x"))), "timeout"},
	} {
		got, err := Parse([]byte(test.source))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, %v, want an error with %q", name, got, err, test.want)
		}
	}
}

// Literals are read as Python reads them.
func TestLiterals(t *testing.T) {
	for source, want := range map[string]any{
		"None": nil, "True": true, "False": false,
		"0": int64(0), "-7": int64(-7), "+7": int64(7), "1_000": int64(1000), "0x_ff": int64(255), "0o17": int64(15), "0b101": int64(5), "00": int64(0),
		"1.5": 1.5, ".5": .5, "1.": 1.0, "1e3": 1000.0, "-1E-3": -.001, "1_0.0_1": 10.01, "0e0": 0.0,
		`"a"`: "a", `'a"b'`: `a"b`, `"a\"b"`: `a"b`, `"""a"b'c"""`: `a"b'c`, "'''a\nb'''": "a\nb",
		`"\\\'\"\a\b\f\n\r\t\v"`: "\\'\"\a\b\f\n\r\t\v", `"\0\12\1012"`: "\x00\nA2", `"\x41\u00e9\U0001F600"`: "Aé😀",
		`"\N{LATIN SMALL LETTER E WITH ACUTE}"`: "é", "\"a\\\nb\"": "ab", `"\d\8"`: `\d\8`,
		`r"\n\"x"`: `\n\"x`, `R'a\\'`: `a\\`, `u"a"`: "a", `"a" 'b'  """c"""`: "abc", `("a"
		"b")`: "ab",
		"()": []any{}, "(1,)": []any{int64(1)}, "(1)": int64(1), "[1, 'a', (None,)]": []any{int64(1), "a", []any{nil}}, "( # comment\n 1,\n)": []any{int64(1)},
	} {
		s := &scanner{source: source}
		got, err := s.literal(0)
		if err == nil && s.at != len(source) {
			err = s.failf("got %s, want the end", s.found())
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, %v, want %#v", source, got, err, want)
		}
	}
	for _, source := range []string{
		"", "x", "nan", "inf", "1x", "0x", "017", "1__0", "1_", "_1", "1._5", "0x1p3", "1e", "1j", "99999999999999999999", "--1", "-None",
		`"`, `"a`, "\"a\nb\"", `"\x4"`, `"\u12"`, `"\ud800"`, `"\U00110000"`, `"\N{NO SUCH THING}"`, `"\N"`, `"\`, `b"a"`, `f"a"`, `rb"a"`, `uR"a"`, `x"a"`,
		"(1", "[1", "(,)", "(1 2)", "(1,,2)", "{}", "{1: 2}", "lambda: 1", "1 if x else 2", `"a" if x else 2`, "...", "`a`",
	} {
		s := &scanner{source: source}
		got, err := s.literal(0)
		if err == nil && strings.TrimSpace(source[s.at:]) == "" {
			t.Errorf("%s: got %#v, want an error", source, got)
		}
	}
}

// A file of the largest size takes no long time, whatever is in it.
func TestBounded(t *testing.T) {
	const size = 1 << 20
	for name, source := range map[string]string{
		"brackets": file("rollback_hog_pod", "RollbackContent(instance_ids="+strings.Repeat("[", size)),
		"escapes":  file("rollback_hog_pod", `RollbackContent(namespace="`+strings.Repeat(`\N{DIGIT ONE}`, size/13)+`")`),
		"strings":  file("rollback_hog_pod", "RollbackContent(namespace="+strings.Repeat(`"a" `, size/4)+")"),
		"lists":    file("rollback_hog_pod", "RollbackContent(instance_ids=("+strings.Repeat("(1,),", size/5)+"))"),
		"comments": file("rollback_hog_pod", "RollbackContent("+strings.Repeat("#\n", size/2)+")"),
		"contents": strings.Repeat("rollback_content =\n", size/19),
		"defs":     strings.Repeat("def f(\n", size/7),
		"pods":     file("rollback_syn_flood_pods", content("shop", strings.Split(strings.Repeat("syn-flood-a,", 19000)+"syn-flood-b", ","))),
		"json":     file("rollback_syn_flood_pods", `RollbackContent(namespace="shop", resource_identifier="`+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("[", size/2)))+`")`),
	} {
		before := processorTime(t)
		_, err := Parse([]byte(source))
		if took := processorTime(t) - before; took > time.Minute {
			t.Errorf("%s: %v after %s", name, err, took)
		}
	}
}

// processorTime is what this process has used, however busy the machine is.
func processorTime(t *testing.T) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// FuzzParse looks for inputs that are taken although they hold more than literals.
func FuzzParse(f *testing.F) {
	f.Add(file("rollback_hog_pod", `RollbackContent(namespace="shop", resource_identifier="cpu-hog-abcde")`))
	f.Add(file("rollback_syn_flood_pods", content("shop", []string{"syn-flood-a"})))
	f.Add(file("rollback_shutdown_nodes", `RollbackContent(cloud_type='aws', instance_ids=("i-0a", r'i-0b'), skip_kubernetes=True)`))
	f.Add(file("rollback_throttle", content("shop", throttle)))
	f.Fuzz(func(t *testing.T, source string) {
		got, err := Parse([]byte(source))
		if (got == nil) == (err == nil) {
			t.Fatalf("got %v and %v", got, err)
		}
		if err == nil && got.Doubt == nil {
			t.Fatalf("the code of %q is taken for Krkn's", source)
		}
		if err == nil {
			again, err := Parse([]byte(source))
			if err != nil || !reflect.DeepEqual(got.Fields, again.Fields) {
				t.Fatalf("got %v, then %v, %v", got.Fields, again, err)
			}
		}
	})
}
