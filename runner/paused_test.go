package runner_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// sleeper stops a process at one of its requests, as a signal or a machine that sleeps does: nothing
// of it comes through before it wakes, neither requests nor answers. To the process, no time passes.
type sleeper struct {
	at    int64 // which request
	only  bool  // of those that change the cluster: of a few
	after bool  // the request was sent, and its answer is not seen yet
	slept chan struct{}
	wake  chan struct{}

	requests, changes atomic.Int64

	once sync.Once
	over atomic.Bool // the watch has restored and verified everything
	late atomic.Int64
}

func newSleeper(at int64, only, after bool) *sleeper {
	return &sleeper{at: at, only: only, after: after, slept: make(chan struct{}), wake: make(chan struct{})}
}

// of is for clients of the process.
func (s *sleeper) of(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip{next, func(req *http.Request) (*http.Response, error) {
			mine := s.requests.Add(1) == s.at && !s.only
			if changes(req) {
				mine = s.changes.Add(1) == s.at && s.only || mine
			}
			if mine && !s.after {
				s.sleep()
				// Timers of a machine that sleeps stand still: this request's time is not over when it wakes.
				req = req.WithContext(context.WithoutCancel(req.Context()))
			}
			s.pause()
			over := s.over.Load()
			resp, err := next.RoundTrip(req)
			if err == nil && over && resp.StatusCode < 300 && changes(req) {
				s.late.Add(1)
			}
			if mine && s.after {
				s.sleep()
			}
			s.pause()
			return resp, err
		}}
	})
	return config
}

// changes reports whether a request is one that a scenario makes, and not its store.
func changes(req *http.Request) bool {
	return req.Method != http.MethodGet && strings.Contains(req.URL.Path, "/configmaps") && req.URL.Query().Get("dryRun") == ""
}

func (s *sleeper) sleep() { s.once.Do(func() { close(s.slept) }) }

// pause returns when the process is awake.
func (s *sleeper) pause() {
	select {
	case <-s.slept:
		<-s.wake
	default:
	}
}

// roundTrip is a transport around another one, whose idle connections can be closed.
type roundTrip struct {
	next http.RoundTripper
	do   func(*http.Request) (*http.Response, error)
}

func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return r.do(req) }

func (r roundTrip) WrappedRoundTripper() http.RoundTripper { return r.next }

// The times of the race. A runner that is stopped is dead after a Lease; requests of one that is not
// stopped may take long where the machine has much to do.
var pausedTimes = clusterstore.Times{Lease: 5 * time.Second, Renew: time.Second, Stop: 3 * time.Second, Settle: 500 * time.Millisecond}

// TestPausedRunner stops a runner at any of its requests, before it is sent or after it was answered,
// and wakes it before a watch takes its execution over, meanwhile, or when the watch has restored and
// verified everything. Whatever the order: nothing is left, nobody changes anything after the watch
// has verified, and the runner says who took over. EBB_SOAK_KILLS says how often, EBB_SOAK_SEED
// repeats it.
func TestPausedRunner(t *testing.T) {
	t.Parallel()
	b := newRace(t)
	whole := newSleeper(0, false, false) // nothing stops it
	if _, err := b.race(t.Context(), sandboxtest.Namespace(t), whole, "", "whole"); err != nil {
		t.Fatal(err)
	}
	requests, changes := whole.requests.Load(), whole.changes.Load()
	n, seed := fromEnv(t, "EBB_SOAK_KILLS", 20), fromEnv(t, "EBB_SOAK_SEED", time.Now().UnixNano())
	t.Logf("%d interleavings at %d requests, of which %d are changes; to repeat: EBB_SOAK_SEED=%d", n, requests, changes, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	var group errgroup.Group // subtests would wait for each other, and what they do is wait
	group.SetLimit(20)
	var taken atomic.Int64
	for i := range n {
		s := newSleeper(1+random.Int64N(requests), false, random.IntN(2) == 0)
		if i%2 == 0 {
			s = newSleeper(1+random.Int64N(changes), true, random.IntN(4) == 0)
		}
		order := []string{"before", "meanwhile", "afterwards", "afterwards"}[random.IntN(4)]
		if i == 0 { // the hardest one: just before its first change, with all over when it wakes
			s, order = newSleeper(1, true, false), "afterwards"
		}
		place := sandboxtest.Namespace(t)
		group.Go(func() error {
			took, err := b.race(t.Context(), place, s, order, fmt.Sprintf("r%d", i))
			if took {
				taken.Add(1)
			}
			if err != nil {
				t.Errorf("stopped at request %d (a change: %t, answered: %t), woken %s: %v", s.at, s.only, s.after, order, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("figures: %d of %d stopped runners were taken over, nothing was left", taken.Load(), n)
}

func fromEnv(t *testing.T, name string, otherwise int64) int64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// race is where runners and watches meet.
type race struct {
	config    *rest.Config
	namespace string // of the chaos
	dir       string // of scenario files
	scripts   fstest.MapFS
	client    dynamic.Interface
}

func newRace(t *testing.T) *race {
	t.Helper()
	config, err := kube.LoadConfig(sandboxtest.Kubeconfig(t), "")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../testdata/script/steps.star")
	if err != nil {
		t.Fatal(err)
	}
	return &race{
		config: config, namespace: sandboxtest.Namespace(t), dir: t.TempDir(), client: bareClient(t),
		scripts: fstest.MapFS{"steps.star": &fstest.MapFile{Data: script}},
	}
}

func (b *race) open(config *rest.Config, namespace string, key ed25519.PrivateKey) (*clusterstore.Store, *runner.Runner, error) {
	store, err := clusterstore.New(clusterstore.Options{Cluster: config, Namespace: namespace, SigningKey: key, Times: pausedTimes, Patience: time.Minute})
	if err != nil {
		return nil, nil, err
	}
	r, err := runner.New(store, runner.Options{
		Cluster:  func() (*rest.Config, error) { return config, nil },
		Scripts:  []runner.ScriptDir{{Name: "own", FS: b.scripts}},
		Patience: time.Minute,
	})
	return store, r, err
}

// race runs a scenario that is stopped once, with a watch, and reports whether the watch had to do
// something.
func (b *race) race(ctx context.Context, place string, s *sleeper, order, name string) (taken bool, err error) {
	key, err := clusterstore.NewKey()
	if err != nil {
		return false, err
	}
	own, r, err := b.open(s.of(b.config), place, key)
	if err != nil {
		return false, err
	}
	defer own.Close()
	watched, watch, err := b.open(b.config, place, key)
	if err != nil {
		return false, err
	}
	defer watched.Close()
	file := filepath.Join(b.dir, name+".yaml")
	steps := fmt.Sprintf("{namespace: %s, steps: [%s-1, %s-2, %s-3]}\n", b.namespace, name, name, name)
	if err := os.WriteFile(file, []byte(steps), 0o600); err != nil {
		return false, err
	}
	prepared, err := r.Prepare(ctx, []runner.ScenarioFile{{Type: "steps_scenarios", Path: file}}, false)
	if err != nil {
		return false, err
	}
	id, ended := uuid.NewString(), make(chan struct{})
	var failure error
	go func() {
		defer close(ended)
		report, err := r.Run(context.WithoutCancel(ctx), prepared, runner.RunOptions{UUID: id})
		if failure = err; err == nil && len(report.Scenarios) > 0 {
			failure = report.Scenarios[0].Err
		}
	}()
	wake := sync.OnceFunc(func() { close(s.wake) })
	defer wake()
	if order != "" {
		select {
		case <-s.slept:
		case <-ended: // it made fewer requests than the other one
		}
		if order == "before" {
			time.AfterFunc(rand.N(pausedTimes.Lease), wake)
		}
		taken, err = b.watch(ctx, watched, watch, id, ended, wake, func() {
			if order == "meanwhile" {
				time.AfterFunc(rand.N(2*pausedTimes.Settle), wake)
			}
		})
		s.over.Store(taken)
		wake()
	}
	<-ended
	// One that could not find out in time whether it was taken over made no change either.
	if failure != nil && !strings.Contains(failure.Error(), "taken over by") && !strings.Contains(failure.Error(), "may have taken it over") {
		err = errors.Join(err, fmt.Errorf("taken over: %t; the runner says: %w", taken, failure))
	}
	if late := s.late.Load(); late > 0 {
		err = errors.Join(err, fmt.Errorf("%d change(s) of the runner after the watch had verified", late))
	}
	return taken, errors.Join(err, b.nothingLeft(ctx, watched, id))
}

// watch looks until the runner has ended by itself, or was taken over and everything is restored and
// verified. It calls dead when it begins with that, and wakes a runner that leaves it nothing to do.
func (b *race) watch(ctx context.Context, store *clusterstore.Store, r *runner.Runner, id string, ended chan struct{}, wake, dead func()) (taken bool, err error) {
	idle, began := time.Now(), false
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(pausedTimes.Lease / 20) {
		over := false
		select {
		case <-ended:
			over = true
		default:
		}
		sights, problems, err := store.Look(ctx)
		switch {
		case err != nil || len(problems) > 0:
			return false, fmt.Errorf("%v, %w", problems, err)
		case len(sights) == 0 && over:
			return false, nil
		case len(sights) == 0:
			if time.Since(idle) > pausedTimes.Lease+pausedTimes.Renew {
				wake()
			}
			continue
		}
		idle = time.Now()
		// What it could not restore at once, it tries again.
		if !sights[0].Dead && (sights[0].Held || !began) {
			continue
		}
		began = true
		dead()
		for _, verify := range []bool{false, true} {
			report, err := r.Replay(ctx, runner.ReplayOptions{RunUUID: id, Verify: verify})
			if errors.As(err, new(*runner.UnknownRunError)) { // he woke before, and removed them
				break
			}
			if err != nil {
				return false, err
			}
			if report.Pending()+report.Refused() > 0 { // he woke before
				break
			}
			if verify {
				return true, nil
			}
		}
	}
	return false, errors.New("neither did the runner end, nor was everything restored")
}

func (b *race) nothingLeft(ctx context.Context, store *clusterstore.Store, id string) error {
	left, err := b.client.Resource(configMaps).Namespace(b.namespace).List(ctx, metav1.ListOptions{LabelSelector: kube.RunLabel + "=" + id})
	if err != nil {
		return err
	}
	for _, item := range left.Items {
		err = errors.Join(err, fmt.Errorf("config map %s is left", item.GetName()))
	}
	listing, listErr := store.List(ctx, versions.Filter{PendingOnly: true})
	if len(listing.Executions) > 0 {
		err = errors.Join(err, fmt.Errorf("got %v, want nothing pending", listing.Executions))
	}
	return errors.Join(err, listErr)
}
