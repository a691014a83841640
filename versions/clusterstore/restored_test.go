package clusterstore_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// lively are those of a holder that renews its Lease often, and never has to stop.
var lively = clusterstore.Times{Renew: 300 * time.Millisecond, Stop: time.Hour}

// restored is a place whose state is put back behind the back of a holder.
type restored struct {
	place
	*testing.T
	key   ed25519.PrivateKey
	other *clusterstore.Store // of another process, which has the public key
}

// two begins an execution with two files, "x" and "y".
func (r restored) two(o clusterstore.Options) (e versions.Execution, first, last versions.File) {
	r.Helper()
	o.SigningKey = r.key
	e, first = begun(r.T, r.store(r.T, o), "x")
	last, err := e.Flush(r.Context(), "pod", []byte("y"))
	if err != nil {
		r.Fatal(err)
	}
	return e, first, last
}

// lose removes Secrets that were written after the backup.
func (r restored) lose(e versions.Execution, ordinals ...int) {
	r.Helper()
	for _, n := range ordinals {
		if err := r.client(r.T).Delete(r.Context(), secretKind, r.namespace, fmt.Sprintf("ebb-%s-%d", e.ID(), n), kube.DeleteOptions{}); err != nil {
			r.Fatal(err)
		}
	}
}

// older gives the Lease another version, as an older state has.
func (r restored) older(e versions.Execution) {
	r.Helper()
	change := kube.Object{"metadata": kube.Object{"annotations": kube.Object{"state": "older"}}}
	if _, err := r.client(r.T).Patch(r.Context(), leaseKind, r.namespace, "ebb-"+e.ID(), change, kube.PatchOptions{}); err != nil {
		r.Fatal(err)
	}
}

// has waits until others can read a file.
func (r restored) has(f versions.File, want string) {
	r.Helper()
	eventually(r.T, "others can read "+f.Name, func() bool {
		content, err := r.other.Read(r.Context(), f)
		return err == nil && string(content) == want
	})
}

// end removes the files and the execution.
func (r restored) end(e versions.Execution, files ...versions.File) {
	r.Helper()
	if err := errors.Join(e.Remove(r.Context(), files...), e.Close()); err != nil {
		r.Error(err)
	}
	r.wantEmpty(r.T, r.other)
}

// A cluster whose state was restored from a backup lacks what was written after that: a living holder
// writes its files again, so that others can undo them if it is killed then.
func TestRestoredFromBackup(t *testing.T) {
	t.Parallel()
	p, key := newPlace(t), newKey(t)
	other := p.store(t, clusterstore.Options{PublicKeys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}})
	for name, try := range map[string]func(restored){
		"of the middle of the execution": func(r restored) {
			e, first, last := r.two(clusterstore.Options{Times: lively})
			r.lose(e, 2)
			r.older(e)
			r.has(last, "y")
			r.has(first, "x")
			// It goes on: nobody else can have had the execution.
			next, err := e.Flush(r.Context(), "pod", []byte("z"))
			if err != nil {
				r.Fatal(err)
			}
			r.end(e, first, last, next)
		},
		"of before the execution": func(r restored) {
			e, first, last := r.two(clusterstore.Options{Times: lively})
			r.lose(e, 1, 2)
			if err := r.client(r.T).Delete(r.Context(), leaseKind, r.namespace, "ebb-"+e.ID(), kube.DeleteOptions{}); err != nil {
				r.Fatal(err)
			}
			r.has(first, "x")
			r.has(last, "y")
			r.end(e, first, last)
		},
		"after an outage": func(r restored) {
			proxy, kubeconfig := sandboxtest.FaultProxy(r.T, r.kubeconfig)
			through := r
			through.kubeconfig = kubeconfig
			said := make(chan struct{}, 1)
			log := slog.New(slog.NewTextHandler(saying{"was not renewed", said}, nil))
			e, first, last := through.two(clusterstore.Options{Times: lively, Log: log, Patience: 100 * time.Millisecond})
			if err := proxy.Stop(); err != nil {
				r.Fatal(err)
			}
			r.lose(e, 2)
			<-said
			if err := proxy.Start(); err != nil {
				r.Fatal(err)
			}
			r.has(last, "y")
			r.end(e, first, last)
		},
		"without its newest ordinal": func(r restored) {
			e, first, last := r.two(clusterstore.Options{Times: lively})
			if err := e.Remove(r.Context(), last); err != nil {
				r.Fatal(err)
			}
			r.lose(e, 2)
			r.older(e)
			// Who takes it over must not take the ordinal 2 for the next one.
			eventually(r.T, "the next ordinal is used", func() bool {
				_, err := r.client(r.T).Get(r.Context(), secretKind, r.namespace, "ebb-"+e.ID()+"-3")
				return err == nil
			})
			r.end(e, first)
		},
		"noticed before the next change": func(r restored) {
			// Its renewals are too rare to notice it, but it asks after a sleep.
			e, first, last := r.two(clusterstore.Options{Times: clusterstore.Times{Renew: time.Hour, Stop: time.Nanosecond}})
			r.lose(e, 2)
			r.older(e)
			next, err := e.Flush(r.Context(), "pod", []byte("z"))
			if err != nil {
				r.Fatal(err)
			}
			if content, err := r.other.Read(r.Context(), last); err != nil || string(content) != "y" {
				r.Errorf("got %q, %v, want it written again before the next file", content, err)
			}
			r.end(e, first, last, next)
		},
	} {
		t.Run(name, func(t *testing.T) { try(restored{p, t, key, other}) })
	}
}

// saying is the output of a log: it tells when a line has some words.
type saying struct {
	words string
	said  chan<- struct{}
}

func (s saying) Write(line []byte) (int, error) {
	if strings.Contains(string(line), s.words) {
		select {
		case s.said <- struct{}{}:
		default:
		}
	}
	return len(line), nil
}

// wantEmpty checks that nothing is left.
func (p place) wantEmpty(t *testing.T, s *clusterstore.Store) {
	t.Helper()
	if got, err := s.List(t.Context(), versions.Filter{}); err != nil || len(got.Executions)+len(got.Problems) != 0 {
		t.Errorf("got %v, %v, want nothing left", got, err)
	}
}
