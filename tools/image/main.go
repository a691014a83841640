// Command image writes an OCI layout with one static binary in it, for which no container runtime is
// needed. The same binary gives the same image, byte for byte.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	binary := flag.String("binary", "bin/ebb", "the static binary")
	out := flag.String("out", "bin/image", "the directory of the layout, which must not exist")
	version := flag.String("version", "", "the release, for the label")
	flag.Parse()
	if err := write(*binary, *out, *version); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// user is nobody that a node knows.
const user = "65532:65532"

func write(binary, out, version string) error {
	if _, err := os.Stat(out); err == nil {
		return fmt.Errorf("%s: exists", out)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	files, err := archive(program)
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		return err
	}
	labels := map[string]string{
		"org.opencontainers.image.version":  version,
		"org.opencontainers.image.source":   "https://github.com/ebb-chaos/ebb",
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{
		User: user, Entrypoint: []string{"/ebb"}, WorkingDir: "/", Labels: labels,
		Env: []string{"PATH=/", "HOME=/tmp"},
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	path, err := layout.Write(out, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": version}))
}

// archive is the image's file system: the program, and a place for what it writes.
func archive(program []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777, ModTime: time.Unix(0, 0)})
	err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "ebb", Mode: 0o755, Size: int64(len(program)), ModTime: time.Unix(0, 0)}))
	if _, werr := w.Write(program); werr != nil {
		err = errors.Join(err, werr)
	}
	return b.Bytes(), errors.Join(err, w.Close())
}
