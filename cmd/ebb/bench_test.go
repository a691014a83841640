package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

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

// BenchmarkListLong is the whole process on 100,000 files, beside the least that looking at each
// directory costs one thread; -short a hundredth of them.
func BenchmarkListLong(b *testing.B) {
	total := 100_000
	if testing.Short() {
		total /= 100
	}
	binary := makeBuild(b, b.TempDir())
	for _, each := range []int{1, 10} {
		dir := b.TempDir()
		store := filepath.Join(dir, "versions")
		for i := range total / each {
			x := filepath.Join(store, fmt.Sprintf("%d-168dce4c-fdb4-4e8c-aa5b-7f919777801b", 1755488223093251000+i))
			if err := os.MkdirAll(x, 0o700); err != nil {
				b.Fatal(err)
			}
			for j := range each {
				if err := os.WriteFile(filepath.Join(x, fmt.Sprintf("hog_scenarios_%d_abcdefgh.star", 1755488223093251000+j)), nil, 0o700); err != nil {
					b.Fatal(err)
				}
			}
		}
		config := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, "kraken:\n  rollback_versions_directory: %s\n", store), 0o600); err != nil {
			b.Fatal(err)
		}
		name := fmt.Sprintf("%dx%d/", total/each, each)
		for _, lstat := range []bool{false, true} {
			b.Run(fmt.Sprintf("%sbare, lstat %t", name, lstat), func(b *testing.B) {
				for b.Loop() {
					if n := bareList(b, store, lstat); n != total {
						b.Fatalf("got %d files, want %d", n, total)
					}
				}
			})
		}
		for _, output := range []string{"tree", "json"} {
			b.Run(name+output, func(b *testing.B) { benchList(b, binary, config, output, total/each) })
		}
	}
}

// bareList is one readdir a directory.
func bareList(b *testing.B, store string, lstat bool) (files int) {
	read := func(path string) []string {
		dir, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		names, err := dir.Readdirnames(-1)
		if err := errors.Join(err, dir.Close()); err != nil {
			b.Fatal(err)
		}
		return names
	}
	for _, x := range read(store) {
		for _, name := range read(filepath.Join(store, x)) {
			if files++; lstat {
				if _, err := os.Lstat(filepath.Join(store, x, name)); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	return files
}

// benchList runs ebb, and notes when the first execution was there and how much memory it took.
func benchList(b *testing.B, binary, config, output string, executions int) {
	var first time.Duration
	var most int64
	for b.Loop() {
		cmd := exec.Command(binary, "list-rollback", "--config", config, "-o", output)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		lines, found := bufio.NewScanner(out), 0
		for lines.Scan() {
			if bytes.Contains(lines.Bytes(), []byte("168dce4c-fdb4-4e8c-aa5b-7f919777801b")) {
				if found++; found == 1 {
					first += time.Since(began)
				}
			}
		}
		if err := errors.Join(lines.Err(), cmd.Wait()); err != nil || found != executions {
			b.Fatalf("got %d executions and %v, want %d", found, err, executions)
		}
		most = max(most, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "first-ms")
	b.ReportMetric(float64(most)/1024, "MiB")
}
