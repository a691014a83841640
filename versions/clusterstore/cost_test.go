package clusterstore_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
	"github.com/ebb-chaos/ebb/versions/mirror"
)

// A change costs one request more, the create of its Secret: reading it back, the note of the request
// and the permission to send it cost none.
func TestRequestsOfAChange(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	proxy, kubeconfig := sandboxtest.FaultProxy(t, p.kubeconfig)
	p.kubeconfig = kubeconfig
	s := p.store(t, clusterstore.Options{SigningKey: newKey(t), Times: clusterstore.Times{Renew: time.Hour, Stop: time.Hour}})
	e, err := s.Begin(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	change := func() {
		t.Helper()
		f, err := e.Flush(t.Context(), "pod", []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Read(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		check, err := e.(versions.Losable).Permit(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		unmark, err := e.MarkInFlight(versions.Mark{})
		if err == nil {
			err = check()
		}
		if err == nil {
			err = unmark()
		}
		if err == nil {
			err = s.Append(t.Context(), versions.Entry{Event: versions.EventFlushed, Execution: e.ID(), RunUUID: run})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change() // the first one asks which cluster this is
	before := len(proxy.Requests())
	const changes = 3
	for range changes {
		change()
	}
	if sent := proxy.Requests()[before:]; len(sent) != changes {
		t.Errorf("%d changes made the requests %q, want one each", changes, sent)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// A list of more executions than a page has asks for metadata only, one page after the other.
func TestPages(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const many = 503 // a page has 500
	p.fill(t, many)
	proxy, kubeconfig := sandboxtest.FaultProxy(t, p.kubeconfig)
	p.kubeconfig = kubeconfig
	full := make(chan string, 100)
	proxy.Handle(func(r *http.Request) sandboxtest.Fault {
		if r.Method == http.MethodGet && !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
			full <- r.URL.String()
		}
		return sandboxtest.Pass
	})
	listing, err := p.store(t, clusterstore.Options{}).List(t.Context(), versions.Filter{PendingOnly: true})
	if err != nil || len(listing.Executions) != many || len(listing.Problems) != 0 {
		t.Errorf("got %d executions, %v, %v, want %d", len(listing.Executions), listing.Problems, err, many)
	}
	select {
	case url := <-full:
		t.Errorf("it reads more than metadata: %s", url)
	default:
	}
	if got := len(proxy.Requests()); got != 2 {
		t.Errorf("got %d requests, %q, want one a page", got, proxy.Requests())
	}
}

// fill makes executions with one pending file each, of which a listing can tell.
func (p place) fill(t testing.TB, n int) {
	t.Helper()
	s := p.store(t, clusterstore.Options{SigningKey: newKey(t)})
	object := p.secret(t, written(t, s, strings.Repeat("# a line of a version file\n", 100)))
	c := p.client(t)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for i := range n - 1 {
		group.Go(func() error {
			id, err := versions.NewExecutionID(int64(i+1), fmt.Sprintf("run-%d", i))
			if err != nil {
				return err
			}
			f, err := versions.NewFile(id, "pod", 0, []byte("x"))
			if err != nil {
				return err
			}
			labels, notes := maps.Clone(kube.Meta(object).GetLabels()), maps.Clone(kube.Meta(object).GetAnnotations())
			labels[kube.RunLabel], labels["ebb.dev/execution"] = fmt.Sprintf("run-%d", i), id
			notes["ebb.dev/execution-id"], notes["ebb.dev/file"] = id, f.Name
			_, err = c.Create(ctx, secretKind, p.namespace, kube.Object{
				"metadata": kube.Object{"name": "ebb-" + id + "-1", "labels": asAny(labels), "annotations": asAny(notes)},
				"type":     object["type"], "immutable": true, "data": object["data"],
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func asAny(m map[string]string) map[string]any {
	all := map[string]any{}
	for key, value := range m {
		all[key] = value
	}
	return all
}

// The size of a version file of a network policy.
var benchFile = []byte(strings.Repeat("# a line of a version file\n", 100))

// BenchmarkFlush is what a change waits for: its version file on the disk and in the cluster.
func BenchmarkFlush(b *testing.B) {
	p := newPlace(b)
	disk, err := versions.NewDir(filepath.Join(privateDir(b), "versions"))
	if err != nil {
		b.Fatal(err)
	}
	s := mirror.New(disk, p.store(b, clusterstore.Options{SigningKey: newKey(b)}), mirror.Options{Required: true})
	e, err := s.Begin(b.Context(), run)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // the namespace goes
	if _, err := e.Flush(b.Context(), "pod", benchFile); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := e.Flush(b.Context(), "pod", benchFile); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFlushBare is a durable write of the same content, and then a create of a Secret with it.
func BenchmarkFlushBare(b *testing.B) {
	p := newPlace(b)
	c := p.client(b)
	dir, err := durable.Open(durable.OS{}, filepath.Join(privateDir(b), "files"), true)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close() //nolint:errcheck // nothing is pending
	content := gzipped(b, strings.NewReader(string(benchFile)))
	if _, err := c.ClusterUID(b.Context()); err != nil { // and its connection
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		if err := dir.WriteFile(fmt.Sprintf("file-%d", n), benchFile, 0o700); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Create(b.Context(), secretKind, p.namespace, kube.Object{
			"metadata": kube.Object{"name": fmt.Sprintf("file-%d", n)}, "type": "ebb.dev/bench", "immutable": true, "data": kube.Object{"file": content},
		}); err != nil {
			b.Fatal(err)
		}
	}
}

const benchExecutions = 5000

// BenchmarkList is a list of 5,000 pending executions.
func BenchmarkList(b *testing.B) {
	p := newPlace(b)
	p.fill(b, benchExecutions)
	s := p.store(b, clusterstore.Options{})
	for b.Loop() {
		listing, err := s.List(b.Context(), versions.Filter{PendingOnly: true})
		if err != nil || len(listing.Executions) != benchExecutions {
			b.Fatalf("%d executions, %v", len(listing.Executions), err)
		}
	}
}

// BenchmarkListBare lists the same metadata, in pages.
func BenchmarkListBare(b *testing.B) {
	p := newPlace(b)
	p.fill(b, benchExecutions)
	c := p.client(b)
	for b.Loop() {
		found, err := c.ListMetadata(context.WithoutCancel(b.Context()), secretKind, p.namespace, kube.ListOptions{LabelSelector: "ebb.dev/store=version-file"})
		if err != nil || len(found) != benchExecutions {
			b.Fatalf("%d Secrets, %v", len(found), err)
		}
	}
}

func privateDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	return dir
}
