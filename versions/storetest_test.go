package versions_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/storetest"
)

// tempDir is t.TempDir for any umask: the store refuses parents that a group can write to.
func tempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newDir(t testing.TB) *versions.Dir {
	t.Helper()
	d, err := versions.NewDir(filepath.Join(tempDir(t), "deep", "versions"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDir(t *testing.T) {
	storetest.Run(t, func(t *testing.T) versions.Store { return newDir(t) })
}

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) versions.Store { return versions.NewMemory() })
}
