package clusterstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// TestLead has two stores compete: one works at a time, the other one goes on when it ends or can't be
// heard of any more. A Lease that somebody deletes is made again.
func TestLead(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	proxy, kubeconfig := sandboxtest.FaultProxy(t, p.kubeconfig)
	times := clusterstore.Times{Lease: 20 * time.Second} // 5 s, 3.3 s, and 670 ms
	var working atomic.Int32
	type candidate struct {
		leads atomic.Bool
		other atomic.Value
		stop  context.CancelFunc
		over  chan struct{}
	}
	start := func(kubeconfig string) *candidate {
		s := place{kubeconfig, p.namespace}.store(t, clusterstore.Options{Times: times})
		ctx, stop := context.WithCancel(t.Context())
		c := &candidate{stop: stop, over: make(chan struct{})}
		go func() {
			defer close(c.over)
			s.Lead(ctx, clusterstore.Leader{
				Name:  "leader",
				Other: func(identity string) { c.other.Store(identity) },
				Work: func(ctx context.Context) {
					if working.Add(1) != 1 {
						t.Error("two work at the same time")
					}
					c.leads.Store(true)
					<-ctx.Done()
					c.leads.Store(false)
					working.Add(-1)
				},
			})
		}()
		return c
	}
	first := start(kubeconfig)
	eventually(t, "the first leads", first.leads.Load)
	if err := p.client(t).Delete(t.Context(), leaseKind, p.namespace, "leader", kube.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its Lease is made again", func() bool {
		lease, err := p.client(t).Get(t.Context(), leaseKind, p.namespace, "leader")
		return err == nil && lease["spec"].(kube.Object)["holderIdentity"] != nil && first.leads.Load()
	})
	second := start(p.kubeconfig)
	eventually(t, "the second knows who leads", func() bool { return second.other.Load() != nil })
	if err := proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second leads in the place of one that can't be heard of", second.leads.Load)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	second.stop()
	<-second.over
	eventually(t, "the first leads once the second has ended", first.leads.Load)
	first.stop()
	<-first.over
	lease, err := p.client(t).Get(t.Context(), leaseKind, p.namespace, "leader")
	if err != nil {
		t.Fatal(err)
	}
	if holder := lease["spec"].(kube.Object)["holderIdentity"]; holder != nil {
		t.Errorf("got the holder %v, want nobody: the first has ended", holder)
	}
}
