package clusterstore_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// day writes a Secret of the journal as it was written on a day, with lines about executions.
func (p place) day(t *testing.T, at time.Time, executions ...string) (name string) {
	t.Helper()
	data := kube.Object{}
	for i, id := range executions {
		line, err := json.Marshal(versions.Entry{Time: at, Event: versions.EventOutcome, Execution: id, RunUUID: run, File: "x"})
		if err != nil {
			t.Fatal(err)
		}
		data[fmt.Sprintf("%d-%d", at.UnixNano(), i)] = base64.StdEncoding.EncodeToString(line)
	}
	name = fmt.Sprintf("ebb-journal-%s-0", at.UTC().Format("20060102"))
	_, err := p.client(t).Create(t.Context(), secretKind, p.namespace, kube.Object{
		"metadata": kube.Object{"name": name, "labels": kube.Object{"ebb.dev/store": "journal"}}, "type": "ebb.dev/journal", "data": data,
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// The journal goes by days, and no day that tells of an execution that is still there.
func TestCleanRemnants(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.store(t, clusterstore.Options{SigningKey: newKey(t)})
	f := written(t, s, "x")
	const daily = 24 * time.Hour
	now := time.Now()
	old := p.day(t, now.Add(-50*daily), "1-gone", "2-gone")
	p.day(t, now.Add(-40*daily), "3-gone", f.Execution)
	p.day(t, now.Add(-20*daily), "4-gone")
	if err := s.Append(t.Context(), versions.Entry{Event: versions.EventMarked, Execution: f.Execution}); err != nil {
		t.Fatal(err)
	}
	lines := func() (executions []string) {
		for e, err := range s.Journal(t.Context(), versions.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			executions = append(executions, e.Execution)
		}
		return executions
	}
	clean := func(o versions.CleanupOptions, want ...string) {
		t.Helper()
		rest, err := versions.CleanRemnants(t.Context(), s, o)
		var got []string
		for _, x := range rest {
			got = append(got, strings.TrimPrefix(x.Location, s.Location()+"/"))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: got %q, %v, want %q", o, got, err, want)
		}
	}
	before := len(lines())
	clean(versions.CleanupOptions{OlderThan: 30 * daily, RunUUID: run})
	clean(versions.CleanupOptions{OlderThan: 30 * daily, DryRun: true}, old)
	if got := len(lines()); got != before {
		t.Errorf("a dry run left %d lines of %d", got, before)
	}
	clean(versions.CleanupOptions{OlderThan: 30 * daily}, old)
	if got := lines(); slices.Contains(got, "1-gone") || !slices.Contains(got, "3-gone") || !slices.Contains(got, "4-gone") || len(got) != before-2 {
		t.Errorf("got the lines of %q, want those of the younger days, and of the one with a pending execution", got)
	}
	clean(versions.CleanupOptions{OlderThan: 30 * daily})
	// What is written now is never lost: a day ends before it goes.
	clean(versions.CleanupOptions{}, "ebb-journal-"+now.Add(-20*daily).UTC().Format("20060102")+"-0")
	// Fences and removed files without a Lease, as after somebody has deleted that, and no others.
	for _, id := range []string{"1-gone", f.Execution} {
		for i, labels := range []kube.Object{{"ebb.dev/store": "fence"}, {"ebb.dev/store": "version-file", "ebb.dev/state": "removed"}} {
			if _, err := p.client(t).Create(t.Context(), secretKind, p.namespace, kube.Object{
				"metadata": kube.Object{"name": fmt.Sprintf("ebb-%s-%d", id, 7+i), "labels": labels, "annotations": kube.Object{"ebb.dev/execution-id": id}},
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	clean(versions.CleanupOptions{OlderThan: time.Hour})
	clean(versions.CleanupOptions{Now: now.Add(time.Hour)}, "ebb-1-gone-7", "ebb-1-gone-8")
	clean(versions.CleanupOptions{Now: now.Add(time.Hour)})
}

// Where no Secret can be made, an execution of a dead runner is undone all the same: it makes no change
// without its Lease.
func TestFenceRefused(t *testing.T) {
	t.Parallel()
	p, key := newPlace(t), newKey(t)
	old := p.store(t, clusterstore.Options{SigningKey: key, Times: stopped})
	e, f := begun(t, old, "x")
	p.noSecrets(t)
	taken := p.takeOver(t, clusterstore.Options{SigningKey: key, Times: hasty}, e.ID())
	if content, err := taken.Read(t.Context(), f); err != nil || string(content) != "x" {
		t.Errorf("got %q, %v", content, err)
	}
	if _, err := taken.MarkExecuted(t.Context(), f); err != nil {
		t.Error(err)
	}
	if _, err := e.Flush(t.Context(), "pod", []byte("y")); err == nil {
		t.Error("the old holder wrote a file")
	}
	if err := errors.Join(taken.Close(), e.Close()); err != nil {
		t.Error(err)
	}
}

// noSecrets has the API server refuse every new Secret of the namespace.
func (p place) noSecrets(t *testing.T) {
	t.Helper()
	c := p.client(t)
	quotas := kube.Resource{Version: "v1", Kind: "ResourceQuota", Plural: "resourcequotas", Namespaced: true}
	none := kube.Object{"secrets": "0"}
	// No controller counts: without a status, everything that it names is refused.
	if _, err := c.Create(t.Context(), quotas, p.namespace, kube.Object{"metadata": kube.Object{"name": "none"}, "spec": kube.Object{"hard": none}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the quota holds", func() bool {
		_, err := c.Create(kube.WithDryRun(t.Context()), secretKind, p.namespace, kube.Object{"metadata": kube.Object{"name": "probe"}})
		return err != nil
	})
}

// takeOver opens an execution whose holder seems to be dead, as soon as it does.
func (p place) takeOver(t *testing.T, o clusterstore.Options, id string) versions.Execution {
	t.Helper()
	s := p.store(t, o)
	var taken versions.Execution
	eventually(t, "it is taken over", func() bool {
		e, err := s.Open(t.Context(), id)
		if err != nil && !errors.As(err, new(*versions.LockedError)) {
			t.Fatal(err)
		}
		taken = e
		return err == nil
	})
	return taken
}

// Whatever a wall clock says that wrote a Lease, only what is seen of it tells that its holder is dead,
// and that he lives.
func TestClocksOfLeases(t *testing.T) {
	t.Parallel()
	for name, renewed := range map[string]string{
		"long ago": "1999-01-01T00:00:00.000000Z", "in a long time": "2099-01-01T00:00:00.000000Z", "never": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, key := newPlace(t), newKey(t)
			jump := func(id string) {
				var at any = renewed
				if renewed == "" {
					at = nil
				}
				_, err := p.client(t).Patch(t.Context(), leaseKind, p.namespace, "ebb-"+id, kube.Object{"spec": kube.Object{"renewTime": at}}, kube.PatchOptions{})
				if err != nil {
					t.Fatal(err)
				}
			}
			alive, err := p.store(t, clusterstore.Options{SigningKey: key, Times: clusterstore.Times{Renew: 100 * time.Millisecond}}).Begin(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			jump(alive.ID())
			patient := clusterstore.Times{Lease: 20 * time.Second, Renew: time.Nanosecond, Settle: time.Millisecond}
			if _, err := p.store(t, clusterstore.Options{Times: patient}).Open(t.Context(), alive.ID()); !errors.As(err, new(*versions.LockedError)) {
				t.Errorf("one that lives: got %v, want a *LockedError", err)
			}
			dead, err := p.store(t, clusterstore.Options{SigningKey: key, Times: stopped}).Begin(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			jump(dead.ID())
			began := versions.ThisMachine().Uptime
			taken := p.takeOver(t, clusterstore.Options{SigningKey: key, Times: hasty}, dead.ID())
			if seen := versions.ThisMachine().Uptime - began; seen < hasty.Lease {
				t.Errorf("it was taken after %s, want it seen not to change for %s", seen, hasty.Lease)
			}
			if err := errors.Join(taken.Close(), dead.Close(), alive.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Names and labels as long as Kubernetes takes them, and longer scenario types.
func TestLongNames(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.store(t, clusterstore.Options{SigningKey: newKey(t)})
	uuid := strings.Repeat("u", 63)
	longest := strings.Repeat("t", 100)
	e, err := s.Begin(t.Context(), uuid)
	if err != nil {
		t.Fatal(err)
	}
	types := []string{"t", strings.Repeat("t", 63), longest}
	for _, kind := range types {
		f, err := e.Flush(t.Context(), kind, []byte(kind))
		if err != nil {
			t.Fatal(err)
		}
		listing, err := s.List(t.Context(), versions.Filter{RunUUID: uuid, ScenarioType: kind})
		if err != nil || len(listing.Executions) != 1 || len(listing.Executions[0].Files) != 1 || listing.Executions[0].Files[0].Name != f.Name {
			t.Errorf("type of %d characters: got %+v, %v, want its file", len(kind), listing, err)
		}
		if content, err := s.Read(t.Context(), f); err != nil || string(content) != kind {
			t.Errorf("type of %d characters: got %q, %v", len(kind), content, err)
		}
	}
	files, err := e.Files(t.Context())
	if err != nil || len(files) != len(types) {
		t.Fatalf("got %v, %v", files, err)
	}
	if err := errors.Join(e.Remove(t.Context(), files...), e.Close()); err != nil {
		t.Error(err)
	}
	if listing, err := s.List(t.Context(), versions.Filter{}); err != nil || len(listing.Executions) != 0 || len(listing.Problems) != 0 {
		t.Errorf("left: %+v, %v", listing, err)
	}
}

// Whoever has an execution undoes what it wrote, whatever becomes of the store; what is not undone when
// it ends is written again.
func TestKept(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, p place, secret kube.Object){
		"deleted": func(t *testing.T, p place, secret kube.Object) {
			if err := p.client(t).Delete(t.Context(), secretKind, p.namespace, kube.Meta(secret).GetName(), kube.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		"labelled as undone": func(t *testing.T, p place, secret kube.Object) { p.relabel(t, secret, "executed") },
		"labelled as gone":   func(t *testing.T, p place, secret kube.Object) { p.relabel(t, secret, "removed") },
		"replaced": func(t *testing.T, p place, secret kube.Object) {
			secret["data"].(kube.Object)["file"] = gzipped(t, strings.NewReader("evil"))
			p.plant(t, secret)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, key := newPlace(t), newKey(t)
			s := p.store(t, clusterstore.Options{SigningKey: key})
			e, f := begun(t, s, "x")
			harm(t, p, p.secret(t, f))
			files, err := e.Files(t.Context())
			if err != nil || len(files) != 1 || !files[0].Replayable() {
				t.Fatalf("got %v, %v, want the file that is to be undone", files, err)
			}
			if content, err := e.Read(t.Context(), files[0]); err != nil || string(content) != "x" {
				t.Errorf("got %q, %v", content, err)
			}
			if err := e.Close(); err != nil { // not undone: others have to
				t.Error(err)
			}
			other, err := p.store(t, clusterstore.Options{SigningKey: key}).Open(t.Context(), e.ID())
			if err != nil {
				t.Fatal(err)
			}
			if files, err = other.Files(t.Context()); err != nil || len(files) != 1 || !files[0].Replayable() {
				t.Fatalf("another one got %v, %v, want the file that is to be undone", files, err)
			}
			if content, err := other.Read(t.Context(), files[0]); err != nil || string(content) != "x" {
				t.Errorf("another one got %q, %v", content, err)
			}
			if err := errors.Join(other.Remove(t.Context(), files...), other.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func (p place) relabel(t *testing.T, secret kube.Object, state string) {
	t.Helper()
	_, err := p.client(t).Patch(t.Context(), secretKind, p.namespace, kube.Meta(secret).GetName(),
		kube.Object{"metadata": kube.Object{"labels": kube.Object{"ebb.dev/state": state}}}, kube.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
