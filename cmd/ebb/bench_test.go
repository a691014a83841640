package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

// BenchmarkListRollback is the whole process, from its start to its end, on ten
// executions: what a person waits for.
func BenchmarkListRollback(b *testing.B) {
	dir := b.TempDir()
	binary := makeBuild(b, dir)
	store, err := versions.NewDir(filepath.Join(dir, "versions"))
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10 {
		x, err := store.Begin(b.Context(), fmt.Sprintf("run-%d", i))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.Flush(b.Context(), "bench_scenarios", []byte("# a version file\n")); err != nil {
			b.Fatal(err)
		}
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
	}
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "kraken:\n  rollback_versions_directory: %s\n", store.Location()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if out, err := exec.Command(binary, "list-rollback", "--config", config).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}
