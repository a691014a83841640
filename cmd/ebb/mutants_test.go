package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mutant is one way in which somebody, or something, takes the chaos out of force while ebb waits, or in
// which the scenario itself silently does nothing: chaos of one moment can't be ended by somebody.
type mutant struct {
	first string // lines before the run
	does  string // the lines that do it, once the chaos is in force
	after string // the lines that take back what the undo is to leave alone
	edit  string // in place of does: what the command mutant is given, a scenario type and pairs of texts
	flags string // of the run
}

// mutants are, for each scenario of testdata/matrix, the ways in which its chaos has been seen, or
// could be thought, to end without a word.
var mutants = map[string][]mutant{
	"outage": {
		{does: "ours POLICY networkpolicies\nremove networkpolicies $POLICY"},
		{does: "ours POLICY networkpolicies\n" + `patch networkpolicies $POLICY '{"spec":{"podSelector":{"matchLabels":{"ring":"canary"}}}}'`},
		{does: "ours POLICY networkpolicies\n" + `patch networkpolicies $POLICY '{"spec":{"ingress":[{}]}}'`},
		{does: "ours POLICY networkpolicies\n" + `patch networkpolicies $POLICY '{"spec":{"policyTypes":["Egress"]}}'`},
		{does: `patch pods foo-1 '{"metadata":{"labels":{"app":null}}}'`, after: `patch pods foo-1 '{"metadata":{"labels":{"app":"foo"}}}'`},
		{does: `patch networkpolicies krkn-deny-other '{"spec":{"ingress":[{"from":[{"podSelector":{}}]}]}}'`, after: `patch networkpolicies krkn-deny-other '{"spec":{"ingress":null}}'`},
		{does: `patch networkpolicies krkn-deny-other '{"spec":{"ingress":[{"from":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]}}'`, after: `patch networkpolicies krkn-deny-other '{"spec":{"ingress":null}}'`},
		{does: "ours POLICY networkpolicies\n" + `patch networkpolicies $POLICY '{"spec":{"podSelector":{"matchExpressions":[{"key":"app","operator":"DoesNotExist"}]}}}'`},
		{does: "remove pods foo-1", after: "apply pods foo.yaml\ndump before"},
	},
	"hog": {
		{does: "ours HOG pods\nremove pods $HOG"},
		{does: "ours HOG pods\nannotate pods $HOG sandbox/exit-code 137\nannotate pods $HOG sandbox/complete-after 1ms"},
		{does: "ours HOG pods\nannotate pods $HOG sandbox/complete-after 1ms"},                          // ended as if all were well, after a moment
		{does: "ours HOG pods\n" + `patch pods $HOG '{"metadata":{"labels":{"krkn-hog-group":null}}}'`}, // nobody counts it any more
	},
	"httpload": {
		{does: "ours LOAD pods\nremove pods $LOAD"},
		{does: "ours LOAD pods\nannotate pods $LOAD sandbox/complete-after 1ms"},
		{does: "ours LOAD pods\nannotate pods $LOAD sandbox/exit-code 137\nannotate pods $LOAD sandbox/complete-after 1ms"},
		{does: "ours LOAD pods\n" + `patch pods $LOAD '{"metadata":{"labels":{"ebb.dev/attack":null}}}'`},
	},
	"synflood": {
		{does: "ours FLOOD pods\nremove pods $FLOOD"},
		{does: "ours FLOOD pods\nannotate pods $FLOOD sandbox/exit-code 1\nannotate pods $FLOOD sandbox/complete-after 1ms"},
		{does: "remove services db", after: "apply services service.yaml\ndump before"},
	},
	"hijack": {
		{does: `patch services web '{"spec":{"selector":{"ebb.dev/service-hijacking":null,"app.kubernetes.io/name":"web","empty":"","x_Y.z-1":"A.b_C-9"}}}'`},
		{does: "ours POD pods\nremove pods $POD"},
		{
			does:  `patch services web '{"spec":{"type":"ExternalName","externalName":"elsewhere.example.com","clusterIP":null,"clusterIPs":null}}'`,
			after: `patch services web '{"spec":{"type":"ClusterIP","externalName":null}}'` + "\ndump before",
		},
		{does: "ours POD pods\n" + `patch pods $POD '{"metadata":{"labels":{"ebb.dev/service-hijacking":null}}}'`},
		{
			does:  "ours POD pods\n" + `patch pods web-1 '{"metadata":{"labels":{"ebb.dev/service-hijacking":"'$POD'"}}}'`,
			after: `patch pods web-1 '{"metadata":{"labels":{"ebb.dev/service-hijacking":null}}}'`,
		},
		{does: `patch services web '{"spec":{"ports":[{"port":80,"targetPort":9999}]}}'`, after: `patch services web '{"spec":{"ports":[{"port":80,"targetPort":"http-web-svc"}]}}'`},
		{does: "ours POD pods\nannotate pods $POD sandbox/exit-code 1\nannotate pods $POD sandbox/complete-after 1ms"},
		{
			does: `exec sh -c 'printf "%s" "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: by-hand, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [{addresses: [192.0.2.7]}], ports: [{port: 8080}]}" >slice.yaml'` +
				"\napply endpointslices slice.yaml",
			after: "remove endpointslices by-hand",
		},
	},
	"netchaos": {
		{does: "onnode $NODE - tc qdisc del dev eth0 root"},
		{does: `onnode $NODE - sh -c 'handle=$(tc qdisc show dev eth0 root | cut -d " " -f 3) && tc class change dev eth0 parent $handle classid ${handle}1 htb rate 10gbit'`},
		{does: `onnode $NODE - sh -c 'handle=$(tc qdisc show dev eth0 root | cut -d " " -f 3) && tc class change dev eth0 parent $handle classid ${handle}1 htb rate 50mbit ceil 10gbit'`},
		{does: `onnode $NODE - sh -c 'handle=$(tc qdisc show dev eth0 root | cut -d " " -f 3) && tc qdisc del dev eth0 root && tc qdisc add dev eth0 root handle $handle pfifo'`},
		{does: `onnode $NODE - sh -ec 'handle=$(tc qdisc show dev eth0 root | cut -d " " -f 3); tc class add dev eth0 parent $handle classid ${handle}2 htb rate 10gbit; tc filter add dev eth0 parent $handle protocol all u32 match u32 0 0 flowid ${handle}2'`},
	},
	"netng_interface_down": {
		{does: "onnode $NODE - ip link set dev eth0 up"},
		{does: "onnode $NODE - sh -c 'ip link set dev eth0 up; sleep 1; ip link set dev eth0 down; ip link set dev eth0 up'"},
	},
	"netng_node_chaos": {
		{does: "onnode $NODE - tc qdisc del dev eth0 root"},
		{does: "onnode $NODE - tc filter del dev eth0 parent ffff:"},
		{does: `onnode $NODE - sh -c 'ip link del dev $(ip -o link show type ifb | cut -d : -f 2)'`},
		{does: `onnode $NODE - sh -c 'pref=$(tc filter show dev eth0 parent ffff: | head -n 1 | cut -d " " -f 5) && tc filter del dev eth0 parent ffff: && tc filter add dev eth0 parent ffff: protocol all pref $pref u32 match u32 0 0 action mirred egress redirect dev lo'`},
		{does: `onnode $NODE - sh -ec 'pref=$(tc filter show dev eth0 parent ffff: | head -n 1 | cut -d " " -f 5); tc filter add dev eth0 parent ffff: protocol all pref $((pref - 1)) u32 match u32 0 0 flowid ffff:1'`, after: "onnode $NODE - tc qdisc del dev eth0 ingress"},
	},
	"netng_node_filter": {
		{does: `onnode $NODE - sh -c 'iptables -S INPUT | grep ebb: | sed s/^-A/-D/ | while read -r rule; do eval "iptables $rule"; done'`},
		{does: `onnode $NODE - iptables -I INPUT -j ACCEPT`, after: `onnode $NODE - iptables -D INPUT -j ACCEPT`},
		{does: `onnode $NODE - iptables -I OUTPUT -p tcp -j ACCEPT`, after: `onnode $NODE - iptables -D OUTPUT -p tcp -j ACCEPT`},
		{
			does:  `onnode $NODE - sh -ec 'iptables -N agent; iptables -N agent-in; iptables -A agent-in -p tcp -j ACCEPT; iptables -A agent -j agent-in; iptables -I INPUT -j agent'`,
			after: `onnode $NODE - sh -ec 'iptables -D INPUT -j agent; iptables -F agent; iptables -X agent; iptables -F agent-in; iptables -X agent-in'`,
		},
		{does: `onnode $NODE - iptables -I INPUT ! -i lo -j RETURN`, after: `onnode $NODE - iptables -D INPUT ! -i lo -j RETURN`},
		{does: `onnode $NODE - iptables -I OUTPUT -p tcp --dport 1:65535 -j ACCEPT`, after: `onnode $NODE - iptables -D OUTPUT -p tcp --dport 1:65535 -j ACCEPT`},
		{does: `onnode $NODE - iptables -I OUTPUT -o eth0 -j ACCEPT`, after: `onnode $NODE - iptables -D OUTPUT -o eth0 -j ACCEPT`},
		{does: `onnode $NODE - iptables -I INPUT -d 192.168.0.2 -j ACCEPT`, after: `onnode $NODE - iptables -D INPUT -d 192.168.0.2 -j ACCEPT`},
		{does: `onnode $NODE - iptables -I INPUT -i eth+ -p tcp -j ACCEPT`, after: `onnode $NODE - iptables -D INPUT -i eth+ -p tcp -j ACCEPT`},
		{does: `onnode $NODE - sh -c 'iptables -S | grep ebb: | sed "s/^-A/-R/; s/PUT /PUT 1 /; s/DROP$/ACCEPT/" | while read -r rule; do eval "iptables $rule"; done'`},
	},
	"netng_pod_chaos": {
		{does: "inpod web - tc qdisc del dev eth0 root"},
		{does: "inpod web - tc filter del dev eth0 parent ffff:"},
	},
	"netng_pod_filter": {
		{does: `inpod web - sh -c 'iptables -S | grep ebb: | sed s/^-A/-D/ | while read -r rule; do eval "iptables $rule"; done'`},
		{does: `inpod web - iptables -I INPUT -i eth0 -j ACCEPT`, after: `inpod web - iptables -D INPUT -i eth0 -j ACCEPT`},
		{does: `inpod web - iptables -F INPUT`},
	},
	"pvc": {
		{does: `inpod web - sh -c 'rm /data/kraken-?*.tmp && echo too >/data/kraken-.tmp'`},
		{does: `inpod web - sh -c 'for file in /data/kraken-?*.tmp; do : >$file; done && echo too >/data/kraken-.tmp'`},
		{does: `inpod web - sh -c 'for file in /data/kraken-?*.tmp; do size=$(stat -c %s $file); : >$file; truncate -s $size $file; done && echo too >/data/kraken-.tmp'`},
		{does: `inpod web - sh -c 'for file in /data/kraken-?*.tmp; do truncate -s 1000 $file; done && echo too >/data/kraken-.tmp'`},
	},
	"throttle": {
		{does: `inpod eye - sh -c 'cd /cgroups/kubepods/pod$1 && device=$(tail -n 1 io.max | cut -d " " -f 1) && echo "$device riops=max wiops=max" >>io.max' sh $UID`},
	},
	"shutdown": {
		{does: "cloud aws i-1 running"},
	},
	"netng_vmi_filter": {
		{does: "inpod launcher - tc filter del dev tap0 ingress"},
		{does: "inpod launcher - tc qdisc del dev tap0 clsact"},
	},
	"podnetwork": {
		{does: `inpod web - sh -c 'iptables -S | grep ebb: | sed s/^-A/-D/ | while read -r rule; do eval "iptables $rule"; done'`},
		{does: `inpod web - iptables -I OUTPUT -p tcp -j ACCEPT`, after: `inpod web - iptables -D OUTPUT -p tcp -j ACCEPT`},
		{does: `inpod web - iptables -I OUTPUT ! -o lo -j RETURN`, after: `inpod web - iptables -D OUTPUT ! -o lo -j RETURN`},
		{does: `inpod web - iptables -I OUTPUT -p tcp --dport 8000:9000 -j ACCEPT`, after: `inpod web - iptables -D OUTPUT -p tcp --dport 8000:9000 -j ACCEPT`},
		{does: `inpod web - iptables -F OUTPUT`, after: `inpod web - iptables -A OUTPUT -p tcp --dport 8443 -j DROP`},
	},
	"node_block": {
		{does: `onnode $NODE - sh -c 'iptables -S OUTPUT | grep ebb: | sed s/^-A/-D/ | while read -r rule; do eval "iptables $rule"; done'`},
		{does: `onnode $NODE - iptables -I INPUT -j ACCEPT`, after: `onnode $NODE - iptables -D INPUT -j ACCEPT`},
	},
	"node_disks": {
		{does: "cloud volume vol-1 i-1 /dev/sdf true"},
	},
	"node_kubelet": {
		{does: `onnode $NODE - sh -c 'echo active >/host/run/stand-in/state'`},
		{
			first: `replace scenario.yaml 'stop_kubelet_scenario\]' 'restart_kubelet_scenario], cloud_type: bm'`,
			edit:  `node_scenarios 'systemctl "$3" "$4"' ':'`,
		},
	},
	"node_crash": {
		{edit: `node_scenarios 'echo c >"$1"' ':'`},
		{edit: `node_scenarios 'echo c >"$1"' 'echo h >"$1"'`},
	},
	"node_reboot": {
		{edit: `node_scenarios 'press(machine["instance"], **where)' 'None'`},
		{edit: `node_scenarios 'press(machine["instance"], **where)' 'time.sleep(1)'`},
	},
	"node_termination": {
		{
			first: `replace scenario.yaml 'node-1' 'node-1, timeout: 1'`,
			edit:  `node_scenarios 'end(machine["instance"], **where)' 'None'`, flags: " --allow-irreversible",
		},
	},
	"container": {
		{first: `replace scenario.yaml 'time: 60' 'time: 1'`, edit: `container_scenarios 'kill "-$signal" "$pid"' ':'`},
		{edit: `container_scenarios 'kill "-$signal" "$pid"' 'kill -0 "$pid"'`},
		{edit: `container_scenarios 'kill "-$signal" "$pid"' 'kill -CONT "$pid"'`},
	},
	"poddisruption": {
		{edit: `pod_disruption_scenarios 'k8s.delete, "Pod", meta["name"], meta["namespace"], uid = meta["uid"], ignore_not_found = True, grace_period = grace' 'k8s.get, "Pod", meta["name"], meta["namespace"]'`},
		{edit: `pod_disruption_scenarios 'parallel(kill, pods, limit = TOGETHER)' 'parallel(kill, pods[1:], limit = TOGETHER)'`},
	},
	"servicedisruption": {
		{does: "apply services services.yaml"},
		{edit: `service_disruption_scenarios 'delete_objects(found.get(kind, []))' 'log.info(kind)'`},
		{edit: `service_disruption_scenarios 'for kind in reversed(KINDS):' 'for kind in KINDS[:3]:'`},
		{does: "apply deployments deployment.yaml"},
		{does: "apply daemonsets daemonset.yaml"},
	},
	"managedcluster": {
		{does: `patch configmaps agents '{"data":{"klusterlet":"2"}}'`},
		{edit: `managedcluster_scenarios '{agent: 0 for agent in before}' 'before' 'cluster, before).ok, EXPIRY' 'cluster, before).ok, 1'`},
		{does: `patch configmaps agents '{"data":{"klusterlet-registration-agent":"1"}}'`},
	},
	"kubevirt": {
		{does: `patch virtualmachines vm-1 '{"spec":{"running":true}}'`},
		{
			first: `replace scenario.yaml ', disable_auto_restart: true' ''`, // with it, KubeVirt ends them itself
			edit:  `kubevirt_vm_outage 'k8s.delete("VirtualMachineInstance", meta["name"], meta["namespace"], uid = meta["uid"], ignore_not_found = True, api_version = KUBEVIRT)' 'pass'`,
		},
	},
	"node_stop": {
		{does: "cloud gcp p/zone-a/node-1 RUNNING"},
	},
	"time": {
		{does: "onnode $NODE - sh -c 'echo 0 >/host/run/stand-in/offset'"},
		{does: "onnode $NODE - sh -c 'echo 5 >/host/run/stand-in/offset'"},
		{does: "onnode $NODE - sh -c 'echo -5 >/host/run/stand-in/offset'"},
	},
	"zone_gcp": {
		{does: "cloud gcp p/zone-a/node-1 RUNNING"},
	},
	"zone_aws": {
		{does: "cloud subnet subnet-2 acl-own"},
		{does: "cloud allow krkn-deny-[a-z]{10}"},
	},
}

// TestMutants takes the chaos of each scenario out of force in mid-run, in each way; without
// EBB_MATRIX=all, as make soak has it, in the first ways of each. The run must not end as if all had
// gone well, and the cluster must be as it was.
func TestMutants(t *testing.T) {
	t.Parallel()
	unused := maps.Clone(mutants)
	for _, file := range scriptFiles(t, "../../testdata/matrix", racedScenarios) {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		ways := mutants[name]
		delete(unused, name)
		if len(ways) == 0 {
			t.Errorf("no mutants of %s", name)
			continue
		}
		if os.Getenv("EBB_MATRIX") != "all" {
			ways = ways[:min(len(ways), 2)]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			params := scriptParams(t)
			params.Files = []string{mutantScript(t, file, ways)}
			params.Cmds["ending"] = func(*testscript.TestScript, bool, []string) {} // pods work until something happens to them
			params.Cmds["ours"] = cmdOurs
			testscript.Run(t, params)
		})
	}
	if len(unused) > 0 && !selected() {
		t.Errorf("testdata/matrix has no scripts %q", slices.Sorted(maps.Keys(unused)))
	}
}

// matrixParts takes a script of the matrix apart: what comes before its run, what is compared after its
// replay, and its files.
func matrixParts(t *testing.T, file string) (setUp, checks, files string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	commands, files, _ := strings.Cut(string(content), "\n-- ")
	setUp, rest, ok := strings.Cut(commands, "atpoint $POINT")
	_, checks, ok2 := strings.Cut(rest, "exec ebb execute-rollback --config config.yaml\n")
	if !ok || !ok2 {
		t.Fatalf("%s is not written like the others of the matrix", file)
	}
	return setUp, checks, files
}

// lasting is the key with the time of the chaos, where it is another one than duration.
var lasting = map[string]string{"kubevirt": "timeout", "managedcluster": "timeout", "servicedisruption": "sleep"}

// The run of a mutant, and that of a scenario that silently does nothing.
const (
	mutantRun = `
# a run whose chaos does not last
FIRST
start MUTANT ebb run --config config.yaml
waitfile MUTANT.err 'Chaos is in force on: '
DOES
finish 1 MUTANT
grep 'the chaos ended early, after|ended early, after|failed: |were deleted before they ended' MUTANT.err
AFTER
`
	editedRun = `
# a run whose chaos never is
FIRST
mutant EDIT
expand mutant.yaml
env EBB_EFFECT_TIME=1s
exit 1 ebb run --config mutant.yamlFLAGS
env EBB_EFFECT_TIME=
stderr 'the chaos had no effect: |failed: '
AFTER
`
)

// mutantScript makes a script out of one of the matrix: what comes before its run and after its
// replay is taken as it is, and between them is one run for each mutant.
func mutantScript(t *testing.T, file string, ways []mutant) string {
	t.Helper()
	setUp, checks, files := matrixParts(t, file)
	script := setUp
	if slices.ContainsFunc(ways, func(m mutant) bool { return m.edit == "" }) {
		key := cmp.Or(lasting[strings.TrimSuffix(filepath.Base(file), ".txtar")], "duration")
		// Long enough for any machine: the run ends when the mutant is seen.
		script += fmt.Sprintf("replace scenario.yaml '%s: 1' '%s: 24'\n", key, key)
	}
	for i, m := range ways {
		run := mutantRun
		if m.edit != "" {
			run = editedRun
		}
		script += strings.NewReplacer(
			"MUTANT", fmt.Sprintf("m%d", i), "FIRST", m.first, "DOES", m.does, "EDIT", m.edit, "FLAGS", m.flags, "AFTER", m.after,
		).Replace(run) + checks
	}
	// The same configuration, with the scripts that do nothing.
	_, config, _ := strings.Cut(files, "config.yaml --\nkraken:\n")
	config, _, _ = strings.Cut(config, "\n-- ")
	files = strings.TrimRight(files, "\n") + "\n-- mutant.yaml --\nkraken:\n  scenario_scripts_directory: mutant\n" + config + "\n"
	path := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(path, []byte(script+"\n-- "+files), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ours VARIABLE KIND puts the name of the object of that kind that a run has made into a variable.
func cmdOurs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ours VARIABLE KIND")
	}
	list, err := dynamicClient(ts).Resource(kindOf(ts, args[1])).Namespace(ts.Getenv("NS")).
		List(context.Background(), metav1.ListOptions{LabelSelector: "ebb.dev/run-uuid"})
	ts.Check(err)
	if len(list.Items) != 1 {
		ts.Fatalf("a run has made %d %s, want 1", len(list.Items), args[1])
	}
	ts.Setenv(args[0], list.Items[0].GetName())
}
