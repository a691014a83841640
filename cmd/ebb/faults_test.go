package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// faultsAtATime is more than kills have: there is more waiting.
const faultsAtATime = 8

// TestFaultsAtRandom runs and replays through an API server that fails at random: it drops,
// delays, refuses, half-answers, answers nonsense, is silent, or is away altogether. What ebb then says is
// held against the cluster itself. EBB_SOAK_FAULTS says how many cases, EBB_SOAK_SEED repeats
// those of another time as far as clocks allow.
func TestFaultsAtRandom(t *testing.T) {
	t.Parallel()
	cases, seed := number(t, "EBB_SOAK_FAULTS", 12), number(t, "EBB_SOAK_SEED", int(time.Now().UnixNano()))
	t.Logf("%d cases; to repeat: EBB_SOAK_SEED=%d", cases, seed)
	f := &faulting{injected: map[string]int{}, ends: map[string]int{}}
	nothingLate := atRandom(t, "case", cases, faultsAtATime, seed, f.one)
	total := 0
	for _, n := range f.injected {
		total += n
	}
	t.Logf("figures: %d cases, %d of %d requests got a fault: %v", cases, total-f.injected["none"], total, f.injected)
	t.Logf("ended: %v", f.ends)
	// A request that the proxy held back lands within a second; what a dead process sent, a little later.
	nothingLate(2 * time.Second)
}

// faulting is what the cases of a test share.
type faulting struct {
	mu       sync.Mutex
	injected map[string]int
	ends     map[string]int // how processes ended
}

func (f *faulting) count(in map[string]int, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in[what]++
}

// faultScenarios are the scenario files, by type. Each undoes another kind of change.
var faultScenarios = map[string]string{
	"application_outages_scenarios": "application_outage: {namespace: %[1]s, duration: 0}\n",
	"steps_scenarios":               "{namespace: %[1]s, steps: [one, two, three]}\n",
	"hog_scenarios":                 "{hog-type: cpu, namespace: %[1]s, duration: 1, node-selector: node-role.kubernetes.io/worker=}\n",
	"service_hijacking_scenarios": "{service_name: web, service_namespace: %[1]s, service_target_port: 8080, image: example.com/hijack:1, chaos_duration: 0,\n" +
		" plan: [{resource: /list, steps: {GET: [{status: 500}]}}]}\n",
	"pvc_scenarios": "pvc_scenario: {pvc_name: data, namespace: %[1]s, fill_percentage: 60, duration: 0}\n",
}

// one runs and replays with faults, looking after each, and replays once more without.
func (f *faulting) one(t *testing.T, namespace string, random *rand.Rand) {
	admin := sandboxtest.Kubeconfig(t)
	types := slices.Sorted(maps.Keys(faultScenarios))
	random.Shuffle(len(types), func(i, j int) { types[i], types[j] = types[j], types[i] })
	types = types[:2+random.IntN(2)]
	start := sandboxtest.FaultProxy
	if random.IntN(2) == 0 && !slices.Contains(types, "pvc_scenarios") { // exec needs HTTP/1
		start = sandboxtest.FaultProxyHTTP2
	}
	proxy, kubeconfig := start(t, admin)

	w := &faultyWorld{world: newWorld(t, namespace, kubeconfig), faulting: f}
	w.setUp(types)
	addApplication(w.world)
	var list strings.Builder
	for _, kind := range types {
		fmt.Fprintf(&list, "    - %s: [%s.yaml]\n", kind, kind)
		w.write(kind+".yaml", faultScenarios[kind], namespace)
	}
	auto := []string{"True", "False"}[random.IntN(2)]
	w.write("config.yaml", autoConfig, kubeconfig, auto, list.String())
	w.write("plain.yaml", autoConfig, admin, auto, list.String())

	likelihood := []float64{0.05, 0.15, 0.3, 0.5}[random.IntN(4)]
	var limits []string
	silence := random.IntN(4) == 0
	if silence { // which is as long as the patience that is left
		limits = []string{"--timeout", "4s", "--file-timeout", "30s"}
	} else {
		limits = []string{"--timeout", []string{"1s", "5s", "20s"}[random.IntN(3)], "--file-timeout", "30s"}
	}
	w.what = fmt.Sprintf("%s, auto_rollback %s, %.0f %% faults, %s", types, auto, 100*likelihood, limits)
	stop := f.trouble(proxy, random, likelihood, silence)

	w.phase(random, append([]string{"run", "--config", "config.yaml"}, limits...), 3)
	w.phase(random, append([]string{"execute-rollback", "--config", "config.yaml"}, limits...), 4)
	stop()

	if code, said := w.ebb("", "execute-rollback", "--config", "plain.yaml"); code != "0" {
		t.Errorf("%s: execute-rollback without faults: exit code %s:\n%s", w.what, code, said)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("%s: left after execute-rollback without faults: %q", w.what, left)
	}
	if files := w.pending(); len(files) > 0 {
		t.Errorf("%s: pending after execute-rollback without faults: %q", w.what, slices.Sorted(maps.Keys(files)))
	}
}

// faultyWorld is what one case changes.
type faultyWorld struct {
	*world
	*faulting
	what           string
	service, claim bool
}

var (
	webSelector = map[string]string{"app": "web", "tier": "front"}
	webPod      = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", Image: "example.com/app:1", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
			}}},
		},
	}
)

func adminClientset(t *testing.T) kubernetes.Interface {
	client, err := kubernetes.NewForConfig(adminConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// setUp makes what the scenarios are about.
func (w *faultyWorld) setUp(types []string) {
	ctx, core := w.Context(), adminClientset(w.T).CoreV1()
	if w.service = slices.Contains(types, "service_hijacking_scenarios"); w.service {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec:       corev1.ServiceSpec{Selector: webSelector, Ports: []corev1.ServicePort{{Port: 80}}},
		}
		if _, err := core.Services(w.namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
			w.Fatal(err)
		}
	}
	if w.claim = slices.Contains(types, "pvc_scenarios"); !w.claim {
		return
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("8Mi")}},
		},
	}
	if _, err := core.PersistentVolumeClaims(w.namespace).Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	if _, err := core.Pods(w.namespace).Create(ctx, webPod.DeepCopy(), metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	if !eventually(func() bool {
		pod, err := core.Pods(w.namespace).Get(ctx, "web", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	}) {
		w.Fatal("the pod web never ran")
	}
	if sandboxtest.Exec(w, w.namespace, "web", "app", "true").Unsupported() {
		w.Skip("NOT TESTED: this machine runs no commands in containers")
	}
}

// left says what is not as it was before the run: each as a version file's ref names it.
func (w *faultyWorld) left() []string {
	var left []string
	for _, o := range w.objects() {
		left = append(left, o.String())
	}
	if w.service {
		service, err := adminClientset(w.T).CoreV1().Services(w.namespace).Get(context.Background(), "web", metav1.GetOptions{})
		if err != nil {
			w.Fatal(err)
		}
		if !maps.Equal(service.Spec.Selector, webSelector) {
			left = append(left, object{"Service", "web", w.namespace}.String())
		}
	}
	if w.claim {
		files := sandboxtest.Exec(w, w.namespace, "web", "app", "ls", "-A", "/data")
		if files.Code != 0 || strings.TrimSpace(files.Stdout) != "" {
			left = append(left, object{"PersistentVolumeClaim", "data", w.namespace}.String())
		}
	}
	return left
}

// phase starts ebb, kills it in one of so many cases, and compares what it says with what is so.
func (w *faultyWorld) phase(random *rand.Rand, args []string, killOneOf int) {
	p := w.start("", args...)
	if random.IntN(killOneOf) == 0 {
		timer := time.AfterFunc(upTo(random, 1500*time.Millisecond), func() {
			if err := p.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				w.Error(err)
			}
		})
		defer timer.Stop()
	}
	end := w.finish(p)
	w.count(w.ends, args[0]+" "+end)

	pending, left := w.pending(), w.left()
	complain := func(format string, a ...any) {
		w.Helper()
		w.Errorf("%s: %s: exit %s: %s\nleft: %q\npending: %q\n%s", w.what, args[0], end, fmt.Sprintf(format, a...), left, slices.Sorted(maps.Keys(pending)), w.said(p))
	}
	switch end {
	case "0", "1": // 1: a scenario failed, and was undone
		if len(left) > 0 || len(pending) > 0 {
			complain("not everything is restored")
		}
		if end == "1" && args[0] != "run" {
			complain("want 0 or 3")
		}
	case "3":
		if len(pending) == 0 {
			complain("no file is pending")
		}
	case "killed":
	default:
		complain("want 0, 1 or 3")
	}
	named := map[string]bool{}
	for _, content := range pending {
		for _, ref := range refs(content) {
			named[ref] = true
		}
		// A pod that a file's undo works through is in its content.
		if helper := helperPattern.FindStringSubmatch(content); helper != nil {
			named[object{"Pod", helper[1], w.namespace}.String()] = true
		}
	}
	for _, l := range left {
		if !named[l] {
			complain("%s is left, and no pending file names it", l)
		}
	}
	executed, err := filepath.Glob(filepath.Join(w.dir, "versions", "*", "*.star.executed"))
	if err != nil {
		w.Fatal(err)
	}
	for _, file := range executed {
		content, err := os.ReadFile(file)
		if err != nil {
			w.Fatal(err)
		}
		for _, ref := range refs(string(content)) {
			if slices.Contains(left, ref) && !named[ref] {
				complain("%s is not undone, and its file is %s", ref, filepath.Base(file))
			}
		}
	}
}

var helperPattern = regexp.MustCompile(`"name": "(pvc-helper-[a-z]+)"`)

// trouble gives each request a fault or none, and takes the API server away now and then. The
// function that it returns ends that.
func (f *faulting) trouble(proxy *sandboxtest.Proxy, random *rand.Rand, likelihood float64, silence bool) (stop func()) {
	// Requests ask the proxy's, one after the other, and the outages have their own.
	ours := rand.New(rand.NewPCG(random.Uint64(), 0))
	down := rand.New(rand.NewPCG(random.Uint64(), 0))
	faults := map[string]func() sandboxtest.Fault{
		"drop":            func() sandboxtest.Fault { return sandboxtest.Drop },
		"drop answer":     func() sandboxtest.Fault { return sandboxtest.DropAnswer },
		"half answer":     func() sandboxtest.Fault { return sandboxtest.HalfAnswer },
		"429":             func() sandboxtest.Fault { return sandboxtest.Refuse(429, 0) },
		"429 retry after": func() sandboxtest.Fault { return sandboxtest.Refuse(429, time.Second) },
		"garbage":         func() sandboxtest.Fault { return garbage(ours.IntN(2) == 0) },
		"late":            func() sandboxtest.Fault { return late(upTo(ours, time.Second)) },
		"delay":           func() sandboxtest.Fault { return delayed(upTo(ours, 300*time.Millisecond)) },
		"cut":             func() sandboxtest.Fault { return cut(upTo(ours, 30*time.Millisecond)) },
	}
	for _, code := range []int{500, 502, 503, 504} {
		faults[fmt.Sprintf("%d", code)] = func() sandboxtest.Fault { return sandboxtest.Refuse(code, 0) }
		faults[fmt.Sprintf("%d after", code)] = func() sandboxtest.Fault { return sandboxtest.ReplaceAnswer(code) }
	}
	if silence {
		faults["silent"] = func() sandboxtest.Fault { return sandboxtest.Silent }
	}
	names := slices.Sorted(maps.Keys(faults))
	outages := random.IntN(2) == 0
	proxy.Handle(func(*http.Request) sandboxtest.Fault {
		if ours.Float64() >= likelihood {
			f.count(f.injected, "none")
			return nil
		}
		name := names[ours.IntN(len(names))]
		f.count(f.injected, name)
		return faults[name]()
	})
	over, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for outages {
			select {
			case <-over:
				ended <- nil
				return
			case <-time.After(upTo(down, 3*time.Second)):
			}
			f.count(f.injected, "outage")
			if err := proxy.Stop(); err != nil {
				ended <- err
				return
			}
			time.Sleep(upTo(down, time.Second))
			if err := proxy.Start(); err != nil {
				ended <- err
				return
			}
		}
		<-over
		ended <- nil
	}()
	return func() {
		close(over)
		if err := <-ended; err != nil {
			panic(err)
		}
		proxy.Handle(nil)
	}
}

// garbage answers what no API server would, after forwarding or instead.
func garbage(forwarded bool) sandboxtest.Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if forwarded {
			forward.ServeHTTP(httptest.NewRecorder(), r)
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := io.WriteString(w, "<html><body>gateway</body></html>"); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// delayed forwards after a while.
func delayed(d time.Duration) sandboxtest.Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		time.Sleep(d)
		forward.ServeHTTP(w, r)
	}
}

// cut breaks the connection to the API server off after a while: a command's, for one, in its middle.
func cut(d time.Duration) sandboxtest.Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		forward.ServeHTTP(w, r.WithContext(ctx))
	}
}

// late is [sandboxtest.Late] for some time.
func late(d time.Duration) sandboxtest.Fault {
	release := make(chan struct{})
	time.AfterFunc(d, func() { close(release) })
	return sandboxtest.Late(release)
}

func upTo(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}
