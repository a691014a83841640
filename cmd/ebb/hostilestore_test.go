package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// hostileStore is a versions directory with one file that has to be restored whatever else is there, and room for
// something hostile.
type hostileStore struct {
	*testing.T
	dir      string // of everything
	versions string
	good     string // the file that has to be restored
	x        string // the other execution's directory
	file     string // a version file in it, which must not run
	victim   string // what links lead to
}

// The planted file says so if it is run, and removes something from the cluster.
const plantedFile = `rollback_version = RollbackVersion(format = 1)
rollback_content = RollbackContent(namespace = %q)

def rollback(rollback_content):
    log.info("PLANTED RAN")
    k8s.delete("ConfigMap", "victim", rollback_content.namespace)

rollback_callable = rollback
`

const goodFile = `rollback_version = RollbackVersion(format = 1)
rollback_content = RollbackContent(resource_identifier = "x")

def rollback(rollback_content):
    log.info("GOOD RAN")

def verify(rollback_content):
    pass

rollback_callable = rollback
verify_callable = verify
`

func (h *hostileStore) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *hostileStore) write(path, content string) {
	h.Helper()
	h.must(os.MkdirAll(filepath.Dir(path), 0o700))
	h.must(os.WriteFile(path, []byte(content), 0o700))
}

// instead puts something in the place of path.
func (h *hostileStore) instead(path string, put func(path string) error) {
	h.Helper()
	h.must(os.RemoveAll(path))
	h.must(os.MkdirAll(filepath.Dir(path), 0o700))
	h.must(put(path))
}

func (h *hostileStore) chmod(path string, mode fs.FileMode) { h.Helper(); h.must(os.Chmod(path, mode)) }

func (h *hostileStore) give(path string) {
	h.Helper()
	if os.Geteuid() != 0 {
		h.Skip("NEEDS ROOT: only root can give files away")
	}
	h.must(os.Lchown(path, otherUser, -1))
}

// moved moves path away and leaves a link to it.
func (h *hostileStore) moved(path string) {
	h.Helper()
	h.must(os.Rename(path, filepath.Join(h.dir, "moved")))
	h.must(os.Symlink(filepath.Join(h.dir, "moved"), path))
}

func (h *hostileStore) device(path string) error {
	err := syscall.Mknod(path, syscall.S_IFCHR|0o700, 1<<8|5) // /dev/zero
	if errors.Is(err, syscall.EPERM) {
		h.Skip("NEEDS ROOT: only root can make devices")
	}
	return err
}

// socket binds under a short name, since a socket's address has at most 107 bytes.
func (h *hostileStore) socket(path string) error {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer func() { h.must(os.RemoveAll(dir)) }()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return err
	}
	h.Cleanup(func() { h.must(l.Close()) })
	l.SetUnlinkOnClose(false)
	return os.Rename(filepath.Join(dir, "s"), path)
}

// acl gives another user the right to write, which a mode alone does not say.
func (h *hostileStore) acl(path string) {
	entry := func(tag, perm uint16, id uint32) []byte {
		return []byte{byte(tag), byte(tag >> 8), byte(perm), byte(perm >> 8), byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
	}
	const none = 0xffffffff
	list := slices.Concat([]byte{2, 0, 0, 0}, entry(0x01, 7, none), entry(0x02, 6, otherUser), entry(0x04, 0, none), entry(0x10, 6, none), entry(0x20, 0, none))
	if err := setACL(path, list); err != nil {
		h.Skipf("NO ACCESS CONTROL LISTS ON THIS FILE SYSTEM: %v", err)
	}
}

func (h *hostileStore) config() string     { return filepath.Join(h.dir, "config.yaml") }
func (h *hostileStore) scenario() string   { return filepath.Join(h.dir, "steps.yaml") }
func (h *hostileStore) scripts() string    { return filepath.Join(h.dir, "scripts") }
func (h *hostileStore) script() string     { return filepath.Join(h.scripts(), "steps.star") }
func (h *hostileStore) kubeconfig() string { return filepath.Join(h.dir, "kubeconfig") }

// journal puts something in the journal's place. There is nothing hostile beside it.
func (h *hostileStore) journal(put func(string) error) {
	h.Helper()
	h.must(os.RemoveAll(h.x))
	h.must(put(filepath.Join(h.versions, "journal.jsonl")))
}

// note puts something beside the good file. There is nothing hostile in the other execution.
func (h *hostileStore) note(name string, put func(string) error) {
	h.Helper()
	h.must(os.RemoveAll(h.x))
	h.must(put(filepath.Join(filepath.Dir(h.good), name)))
}

func newHostileStore(t *testing.T, namespace string) *hostileStore {
	dir := t.TempDir()
	h := &hostileStore{T: t, dir: dir, versions: filepath.Join(dir, "parent", "versions"), victim: filepath.Join(dir, "victim")}
	h.good = filepath.Join(h.versions, "1755488223093251000-good", "good_scenarios_1755488223093251000_aaaaaaaa.star")
	h.x = filepath.Join(h.versions, "1755488223093251001-x")
	h.file = filepath.Join(h.x, "x_scenarios_1755488223093251001_aaaaaaaa.star")
	h.write(h.good, goodFile)
	h.write(h.file, fmt.Sprintf(plantedFile, namespace))
	h.write(h.victim, fmt.Sprintf(plantedFile, namespace))
	h.write(filepath.Join(dir, hide), "x = y\n")
	h.write(h.scenario(), fmt.Sprintf("namespace: %s\nsteps: [a-%x]\n", namespace, time.Now().UnixNano()))
	steps, err := os.ReadFile("../../testdata/script/steps.star")
	h.must(err)
	h.write(h.script(), string(steps))
	admin, err := os.ReadFile(sandboxtest.Kubeconfig(t))
	h.must(err)
	h.write(h.kubeconfig(), string(admin))
	h.write(h.config(), fmt.Sprintf(`
kraken:
  kubeconfig_path: %q
  rollback_versions_directory: %q
  scenario_scripts_directory: %q
  chaos_scenarios:
    - steps_scenarios: [%q]
`, h.kubeconfig(), h.versions, h.scripts(), h.scenario()))
	return h
}

// looking is held by a command in this process: the flag --help is one variable for all of them.
var looking sync.Mutex

// look is a command in this process: the program without its last line, which exits.
func (h *hostileStore) look(args ...string) (int, string) {
	h.Helper()
	var stdout, stderr bytes.Buffer
	done := make(chan int, 1)
	looking.Lock()
	defer looking.Unlock()
	go func() { done <- ebb(append([]string{"ebb"}, args...), &stdout, &stderr) }()
	select {
	case code := <-done:
		out := stdout.String() + stderr.String()
		h.clean(args[0], out)
		return code, out
	case <-time.After(time.Minute):
		h.Fatalf("ebb %q hangs", args)
		return 0, ""
	}
}

// ebb is a command in a process of its own.
func (h *hostileStore) ebb(args ...string) (int, string) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ebb", args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		h.Fatalf("ebb %q: %v: %v\n%s", args, err, ctx.Err(), out)
	}
	h.clean(args[0], string(out))
	if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// clean checks what a command printed.
func (h *hostileStore) clean(command, out string) {
	h.Helper()
	if !utf8.ValidString(out) {
		h.Errorf("ebb %s prints what is no UTF-8: %q", command, out)
	}
	for _, r := range out {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			h.Errorf("ebb %s prints %q:\n%q", command, r, out)
			break
		}
	}
	if strings.Contains(out, "PLANTED RAN") {
		h.Errorf("ebb %s ran what was planted:\n%s", command, out)
	}
	if forged.MatchString(out) {
		h.Errorf("ebb %s prints a line that is not its own:\n%s", command, out)
	}
}

// forged is a line that is not ebb's own. What a script says may have several, indented.
var forged = regexp.MustCompile(`(?m)^\s*FORGED: everything|^FORGED`)

// snapshot describes all files, but for the journal.
func (h *hostileStore) snapshot() string {
	h.Helper()
	var b strings.Builder
	h.must(filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.Name() == "journal.jsonl" {
			return nil
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%q %v %d %d %d", path, info.Mode(), st.Uid, st.Nlink, info.Size())
		if info.Mode().IsRegular() {
			fmt.Fprintf(&b, " %v", info.ModTime())
		}
		b.WriteByte('\n')
		return nil
	}))
	return b.String()
}

// planted says what happened to the file that links lead to.
func (h *hostileStore) planted() string {
	content, err := os.ReadFile(h.victim)
	if err != nil || !strings.Contains(string(content), "PLANTED RAN") {
		return fmt.Sprintf("what a link leads to was changed: %v %q", err, content)
	}
	return ""
}
