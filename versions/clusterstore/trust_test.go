package clusterstore_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

var secretKind = kube.Resource{Version: "v1", Kind: "Secret", Plural: "secrets", Namespaced: true}

// client is one that plants things, as somebody who may write Secrets there.
func (p place) client(t testing.TB) *kube.Client {
	t.Helper()
	config, err := kube.LoadConfig(p.kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.New(config, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// written is an execution with one file that a store wrote and left.
func written(t testing.TB, s *clusterstore.Store, content string) versions.File {
	t.Helper()
	e, f := begun(t, s, content)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

// begun begins an execution that has one file.
func begun(t testing.TB, s *clusterstore.Store, content string) (versions.Execution, versions.File) {
	t.Helper()
	e, err := s.Begin(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	f, err := e.Flush(t.Context(), "pod", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return e, f
}

func (p place) secret(t testing.TB, f versions.File) kube.Object {
	t.Helper()
	object, err := p.client(t).Get(t.Context(), secretKind, p.namespace, "ebb-"+f.Execution+"-1")
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// plant puts a Secret in the place of another one, or beside it.
func (p place) plant(t testing.TB, object kube.Object) {
	t.Helper()
	c := p.client(t)
	name := kube.Meta(object).GetName()
	if err := c.Delete(t.Context(), secretKind, p.namespace, name, kube.DeleteOptions{}); err != nil && !strings.Contains(err.Error(), "not found") {
		t.Fatal(err)
	}
	meta := object["metadata"].(kube.Object)
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp"} {
		delete(meta, key)
	}
	if _, err := c.Create(t.Context(), secretKind, p.namespace, object); err != nil {
		t.Fatal(err)
	}
}

func gzipped(t testing.TB, content io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// Keys are changed by having two for a while, and force reads what nobody signed.
func TestKeys(t *testing.T) {
	t.Parallel()
	p, older, newer := newPlace(t), newKey(t), newKey(t)
	public := func(keys ...ed25519.PrivateKey) (all []ed25519.PublicKey) {
		for _, key := range keys {
			all = append(all, key.Public().(ed25519.PublicKey))
		}
		return all
	}
	a := written(t, p.store(t, clusterstore.Options{SigningKey: older}), "older")
	b := written(t, p.store(t, clusterstore.Options{SigningKey: newer}), "newer")
	both := p.store(t, clusterstore.Options{PublicKeys: public(older, newer)})
	for want, f := range map[string]versions.File{"older": a, "newer": b} {
		if got, err := both.Read(t.Context(), f); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := p.store(t, clusterstore.Options{PublicKeys: public(newer)}).Read(t.Context(), a); !errors.As(err, new(*versions.UntrustedError)) {
		t.Errorf("with the new key alone: got %v, want it refused", err)
	}
	if got, err := p.store(t, clusterstore.Options{Force: true}).Read(t.Context(), a); err != nil || string(got) != "older" {
		t.Errorf("by force: got %q, %v", got, err)
	}
}

// What no Secret can hold is refused before the change that it would undo.
func TestTooLong(t *testing.T) {
	t.Parallel()
	s := newPlace(t).store(t, clusterstore.Options{SigningKey: newKey(t)})
	e, err := s.Begin(t.Context(), "Run_1.of-Capitals")
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	content := make([]byte, versions.MaxFileSize)
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Flush(t.Context(), "pod", content); err == nil || !strings.Contains(err.Error(), "a Secret holds no more") {
		t.Errorf("got %v, want it refused", err)
	}
	// A little less than a Secret holds, which no gzip makes shorter.
	f, err := e.Flush(t.Context(), "pod", content[:1<<20-8<<10])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(t.Context(), f); err != nil || !bytes.Equal(got, content[:1<<20-8<<10]) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if files, err := e.Files(t.Context()); err != nil || fmt.Sprint(len(files)) != "1" {
		t.Errorf("got %v, %v, want one file", files, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
