package clusterstore_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// planter is somebody who can write Secrets in the namespace.
type planter struct {
	*testing.T
	place
	key    ed25519.PrivateKey  // the runner's, which he does not have
	runner *clusterstore.Store // signs with it
}

// byHimself writes a file as a store with other options would.
func byHimself(options func(planter) clusterstore.Options) func(planter) versions.File {
	return func(p planter) versions.File { return written(p.T, p.store(p.T, options(p)), "evil") }
}

// changed puts a file of the runner's back after a change, as the file that change returns.
func changed(change func(p planter, f versions.File, secret kube.Object) versions.File) func(planter) versions.File {
	return func(p planter) versions.File {
		f := written(p.T, p.runner, "x")
		secret := p.secret(p.T, f)
		f = change(p, f, secret)
		p.plant(p.T, secret)
		return f
	}
}

// content puts other content into a file of the runner's, in base64.
func content(make func(testing.TB) string) func(planter) versions.File {
	return changed(func(p planter, f versions.File, secret kube.Object) versions.File {
		secret["data"].(kube.Object)["file"] = make(p.T)
		return f
	})
}

// named gives a file of the runner's another name.
func named(name string) func(planter) versions.File {
	return changed(func(_ planter, f versions.File, secret kube.Object) versions.File {
		annotate(secret, "ebb.dev/file", name)
		return versions.File{Execution: f.Execution, Name: name}
	})
}

func annotate(secret kube.Object, key, value string) {
	notes := kube.Meta(secret).GetAnnotations()
	notes[key] = value
	kube.Meta(secret).SetAnnotations(notes)
}

func label(secret kube.Object, key, value string) {
	labels := kube.Meta(secret).GetLabels()
	labels[key] = value
	kube.Meta(secret).SetLabels(labels)
}

// elsewhere are the options of a runner with the right key, on another cluster.
func elsewhere(p planter) clusterstore.Options {
	return clusterstore.Options{SigningKey: p.key, Target: func(context.Context) (string, error) { return "another-cluster", nil }}
}

// planted is what he plants, and what is said of it.
var planted = map[string]struct {
	plant func(planter) versions.File
	want  string
}{
	"unsigned": {byHimself(func(planter) clusterstore.Options { return clusterstore.Options{} }), "is not signed"},
	"signed by another key": {
		byHimself(func(p planter) clusterstore.Options { return clusterstore.Options{SigningKey: newKey(p.T)} }), "want one of",
	},
	"for another cluster": {byHimself(elsewhere), "is for the cluster with the UID another-cluster"},
	"relabelled for this cluster": {func(p planter) versions.File {
		f := written(p.T, p.store(p.T, elsewhere(p)), "evil")
		secret := p.secret(p.T, f)
		kube.Meta(secret).SetLabels(kube.Meta(p.secret(p.T, written(p.T, p.runner, "x"))).GetLabels())
		label(secret, "ebb.dev/execution", f.Execution)
		p.plant(p.T, secret)
		return f
	}, "not for this file"},
	"swapped between two executions": {changed(func(p planter, f versions.File, secret kube.Object) versions.File {
		secret["data"] = p.secret(p.T, written(p.T, p.runner, "another"))["data"]
		return f
	}), "not for this file"},
	"moved to another execution with all that is its": {changed(func(p planter, f versions.File, secret kube.Object) versions.File {
		other := written(p.T, p.runner, "another").Execution
		annotate(secret, "ebb.dev/execution-id", other)
		label(secret, "ebb.dev/execution", other)
		kube.Meta(secret).SetName("ebb-" + other + "-7")
		return versions.File{Execution: other, Name: f.Name}
	}), "not for this file"},
	"under another ordinal": {changed(func(_ planter, f versions.File, secret kube.Object) versions.File {
		kube.Meta(secret).SetName("ebb-" + f.Execution + "-2")
		return f
	}), "not for this file"},
	"under another name, which is another place in the order": {named("pod_1_aaaaaaaa.star"), "not for this file"},
	"put back after the end of its execution": {changed(func(p planter, f versions.File, _ kube.Object) versions.File {
		e, err := p.runner.Open(p.Context(), f.Execution)
		if err != nil {
			p.Fatal(err)
		}
		if err := errors.Join(e.Remove(p.Context(), f), e.Close()); err != nil {
			p.Fatal(err)
		}
		return f
	}), "not for this file"},
	"other content":    {content(func(t testing.TB) string { return gzipped(t, strings.NewReader("evil")) }), "not for this file"},
	"more than memory": {content(func(t testing.TB) string { return gzipped(t, io.LimitReader(zeros{}, 64<<20)) }), "want at most"},
	"no gzip":          {content(func(testing.TB) string { return "ZXZpbA==" }), "is not gzipped"},
	"one that can be changed": {changed(func(_ planter, f versions.File, secret kube.Object) versions.File {
		delete(secret, "immutable")
		return f
	}), "is not immutable"},
}

// Whoever can write Secrets in the namespace can't have anything executed: what he plants is listed
// and refused.
func TestPlanted(t *testing.T) {
	t.Parallel()
	p, key := newPlace(t), newKey(t)
	runner := p.store(t, clusterstore.Options{SigningKey: key})
	for name, test := range planted {
		t.Run(name, func(t *testing.T) {
			f := test.plant(planter{t, p, key, runner})
			s := p.store(t, clusterstore.Options{PublicKeys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}})
			listing, err := s.List(t.Context(), versions.Filter{PendingOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			listed := false
			for _, x := range listing.Executions {
				for _, other := range x.Files {
					listed = listed || other.Key() == f.Key()
				}
			}
			if !listed {
				t.Error("it is not listed")
			}
			e, err := s.Open(t.Context(), f.Execution)
			if err != nil {
				t.Fatal(err)
			}
			for name, read := range map[string]func(context.Context, versions.File) ([]byte, error){"store": s.Read, "execution": e.Read} {
				content, err := read(t.Context(), f)
				var untrusted *versions.UntrustedError
				if !errors.As(err, &untrusted) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: read %q, %v, want it refused: %q", name, content, err, test.want)
				}
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
