package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// descriptor names a blob of an OCI layout, by its digest.
type descriptor struct {
	Digest string `json:"digest"`
}

// layoutOf reads an OCI layout with one image of one layer.
func layoutOf(t *testing.T, layout string) (config map[string]any, layer []byte, digest string) {
	t.Helper()
	blob := func(d descriptor) string {
		return filepath.Join(layout, "blobs", strings.Replace(d.Digest, ":", "/", 1))
	}
	parse := func(path string, into any) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var index struct{ Manifests []descriptor }
	parse(filepath.Join(layout, "index.json"), &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("index.json: got %v, want one image", index)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	parse(blob(index.Manifests[0]), &manifest)
	if len(manifest.Layers) != 1 {
		t.Fatalf("got the layers %v, want one", manifest.Layers)
	}
	parse(blob(manifest.Config), &config)
	layer, err := os.ReadFile(blob(manifest.Layers[0]))
	if err != nil {
		t.Fatal(err)
	}
	return config, layer, index.Manifests[0].Digest
}

// unpack writes the files of a layer to a directory, and returns their names.
func unpack(t *testing.T, layer []byte, dir string) (names []string) {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.Mkdir(path, 0o700)
		} else {
			var content []byte
			if content, err = io.ReadAll(archive); err == nil {
				err = os.WriteFile(path, content, 0o600)
			}
		}
		if err = errors.Join(err, os.Chmod(path, header.FileInfo().Mode())); err != nil {
			t.Fatal(err)
		}
	}
}

// checkImage: nothing but the binary is in it, nobody runs it as root, and the same binary makes the
// same image.
func checkImage(t *testing.T, image, binary string) {
	config, layer, digest := layoutOf(t, image)
	dir := t.TempDir()
	if names := fmt.Sprint(unpack(t, layer, dir)); names != "[tmp/ ebb]" {
		t.Errorf("it has %s, want the binary and a place for temporary files", names)
	}
	got, err := os.ReadFile(filepath.Join(dir, "ebb"))
	want, wantErr := os.ReadFile(binary)
	if err = errors.Join(err, wantErr); err != nil || !bytes.Equal(got, want) {
		t.Errorf("its binary is another one: %v", err)
	}
	inside, _ := config["config"].(map[string]any)
	labels, _ := inside["Labels"].(map[string]any)
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"user", inside["User"], "65532:65532"},
		{"entrypoint", fmt.Sprint(inside["Entrypoint"]), "[/ebb]"},
		{"version", labels["org.opencontainers.image.version"], version},
		{"source", labels["org.opencontainers.image.source"], "https://github.com/ebb-chaos/ebb"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %v, want %v", check.what, check.got, check.want)
		}
	}
	checkReproducible(t, want, digest)
}

// checkReproducible: the same sources in another directory, without git's, make the same binary and the
// same image, byte for byte.
func checkReproducible(t *testing.T, binary []byte, digest string) {
	t.Helper()
	files := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	files.Dir = "../.."
	list, err := files.Output()
	if err != nil {
		t.Skipf("NOT BUILT A SECOND TIME: without git it is not known what the sources are: %v", err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		to := filepath.Join(dir, name)
		content, err := os.ReadFile(filepath.Join("../..", name))
		if errors.Is(err, os.ErrNotExist) { // removed, and not committed
			continue
		}
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755)); err == nil {
			err = os.WriteFile(to, content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	makeIn(t, dir, "image")
	again, err := os.ReadFile(filepath.Join(dir, "bin", "ebb"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, binary) {
		t.Error("the same sources in two directories make two binaries")
	}
	if _, _, other := layoutOf(t, filepath.Join(dir, "bin", "image")); other != digest {
		t.Errorf("the same sources in two directories make the images %s and %s, want one", digest, other)
	}
}
