package main

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// makeBuild has make build write the binary to a directory, and returns its path.
func makeBuild(t testing.TB, dir string) string {
	t.Helper()
	binary := filepath.Join(dir, "ebb")
	runMake(t, "build", "BINARY="+binary)
	return binary
}

func runMake(t testing.TB, args ...string) {
	t.Helper()
	makeIn(t, "../..", args...)
}

func makeIn(t testing.TB, dir string, args ...string) {
	t.Helper()
	build := exec.Command("make", append([]string{"--silent"}, args...)...)
	build.Dir = dir
	for _, variable := range os.Environ() { // a make that runs the tests is none of this one's business
		if name, _, _ := strings.Cut(variable, "="); name != "MAKEFLAGS" && name != "MFLAGS" && name != "MAKELEVEL" {
			build.Env = append(build.Env, variable)
		}
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", args[0], err, out)
	}
}

// TestBuild looks at what make image makes: the binary that make build makes, which needs nothing else,
// and an image of it.
func TestBuild(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: only Linux has static binaries and containers")
	}
	// Go test has to see what make reads: it runs this again if that changes.
	for _, read := range []string{"Makefile", "tools/go.mod", "tools/image"} {
		if _, err := os.ReadDir(filepath.Join("../..", read)); err != nil && !errors.Is(err, syscall.ENOTDIR) {
			t.Fatal(err)
		}
	}
	root, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	binary := filepath.Join(root, "ebb")
	runMake(t, "image", "BINARY="+binary, "IMAGE="+image)
	t.Run("static", func(t *testing.T) { checkStatic(t, binary) })
	t.Run("image", func(t *testing.T) { checkImage(t, image, binary) })
	t.Run("container", func(t *testing.T) { checkContainers(t, image) })
}

// checkStatic: it runs where there is nothing else, no libc and no loader.
func checkStatic(t *testing.T, binary string) {
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %s: it is not static", p.Type)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN IN AN EMPTY ROOT: only root can change the root")
	}
	for _, args := range [][]string{{"version"}, {"list-rollback"}} {
		cmd := exec.Command("/ebb", args...)
		cmd.Dir, cmd.Env = "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: filepath.Dir(binary)}
		out, err := cmd.CombinedOutput()
		if args[0] == "version" && err != nil {
			t.Errorf("ebb version in an empty root: %v\n%s", err, out)
		}
		// Without a configuration it says so, which takes its working directory and its user.
		if args[0] == "list-rollback" && (codeOf(err) == "killed" || !strings.Contains(string(out), "config/config.yaml")) {
			t.Errorf("ebb list-rollback in an empty root: %v\n%s", err, out)
		}
	}
}
