package versions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

// podReport is what a process in a pod found.
type podReport struct {
	Location string
	Warnings []string
	Error    string
	Insecure *versions.InsecureError
	ReadOnly bool
}

// podProcess uses the store at a path as a runner in a pod does: it writes two undos and marks one;
// or, as the pod's next start, replays what is left. It prints a podReport.
func podProcess(path, start string) error {
	d, err := versions.NewDir(path)
	if err != nil {
		return err
	}
	do := podFirst
	if start == "next" {
		do = podNext
	}
	err = do(context.Background(), d)
	report := podReport{Location: d.Location(), Warnings: d.Warnings(), ReadOnly: errors.Is(err, versions.ErrReadOnly)}
	if err != nil {
		report.Error = err.Error()
		errors.As(err, &report.Insecure)
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

func podFirst(ctx context.Context, d *versions.Dir) error {
	e, err := d.Begin(ctx, "run")
	if err != nil {
		return err
	}
	done, err := e.Flush(ctx, "pod", []byte("done"))
	if err == nil {
		_, err = e.Flush(ctx, "pod", []byte("pending"))
	}
	if err == nil {
		_, err = e.MarkExecuted(ctx, done)
	}
	return errors.Join(err, e.Close(), d.Append(ctx, versions.Entry{Event: versions.EventFlushed}))
}

func podNext(ctx context.Context, d *versions.Dir) error {
	listing, err := d.List(ctx, versions.Filter{PendingOnly: true})
	if err != nil {
		return err
	}
	if len(listing.Executions) != 1 || len(listing.Executions[0].Problems) > 0 || len(listing.Executions[0].Files) != 1 {
		return fmt.Errorf("got %+v, want one execution with one pending file", listing)
	}
	e, err := d.Open(ctx, listing.Executions[0].ID)
	if err != nil {
		return err
	}
	f := listing.Executions[0].Files[0]
	content, err := e.Read(ctx, f)
	if err == nil && string(content) != "pending" {
		err = fmt.Errorf("got %q, want the pending undo", content)
	}
	if err == nil {
		_, err = e.MarkExecuted(ctx, f)
	}
	return errors.Join(err, e.Close(), d.Append(ctx, versions.Entry{Event: versions.EventOutcome}))
}

// layout is a directory as a pod has it: the mount, or what the image prepared.
type layout struct {
	name     string
	uid, gid int // the mount's
	mode     uint32
	user     syscall.Credential
	below    string // the versions directory, below the mount
	mine     bool   // it is there already, mode 0700, of the user
	lands    string // where it is then; "" if that is refused
	warns    bool   // that others can write to the mount
	strict   bool   // it works outside of a pod, too
}

func pod(uid, gid uint32, groups ...uint32) syscall.Credential {
	return syscall.Credential{Uid: uid, Gid: gid, Groups: groups}
}

var layouts = []layout{
	{name: "emptyDir, itself", mode: 0o777, user: pod(1001, 1001), lands: "ebb-1001", warns: true},
	{name: "emptyDir, below", mode: 0o777, user: pod(1001, 1001), below: "ebb", lands: "ebb", warns: true},
	{name: "emptyDir, deeper", mode: 0o777, user: pod(1001, 1001), below: "ebb/versions", lands: "ebb/versions", warns: true},
	{name: "emptyDir as root, itself", mode: 0o777, user: pod(0, 0), lands: "ebb-0", warns: true},
	{name: "emptyDir as root, below", mode: 0o777, user: pod(0, 0), below: "ebb", lands: "ebb", warns: true},
	{name: "emptyDir with fsGroup, itself", gid: 1001, mode: 0o2777, user: pod(1001, 1001, 1001), lands: "ebb-1001", warns: true},
	{name: "emptyDir with fsGroup, below", gid: 1001, mode: 0o2777, user: pod(1001, 1001, 1001), below: "ebb", lands: "ebb", warns: true},
	{name: "PVC with fsGroup, below", gid: 1001, mode: 0o2775, user: pod(1001, 1001, 1001), below: "ebb", lands: "ebb", warns: true},
	{name: "PVC with fsGroup that is not the user's own", gid: 2000, mode: 0o2775, user: pod(1001, 0, 2000), below: "ebb", lands: "ebb", warns: true},
	{name: "image home, arbitrary UID", uid: 1001, mode: 0o775, user: pod(1000650000, 0), below: "ebb", lands: "ebb", warns: true},
	{name: "image directory, arbitrary UID", mode: 0o775, user: pod(1000650000, 0), below: "ebb", lands: "ebb", warns: true},
	{name: "image home of this very user", uid: 1001, gid: 1001, mode: 0o755, user: pod(1001, 1001), below: ".krkn/rollback", lands: ".krkn/rollback", strict: true},
	{name: "emptyDir with a directory of ours", gid: 1001, mode: 0o2777, user: pod(1001, 1001, 1001), below: "mine", mine: true, lands: "mine", warns: true},
	{name: "sticky directory", mode: 0o1777, user: pod(1000650000, 0), below: "ebb", lands: "ebb", strict: true},
	{name: "hostPath as another user", mode: 0o755, user: pod(1001, 1001), below: "ebb"},
	{name: "hostPath as root", mode: 0o755, user: pod(0, 0), below: "ebb", lands: "ebb", strict: true},
	{name: "another user's home", uid: 1002, gid: 1002, mode: 0o755, user: pod(1001, 1001), below: "ebb"},
}

func (l *layout) mount(t *testing.T) string {
	t.Helper()
	mount := filepath.Join(publicDir(t), "mount")
	must(t, os.Mkdir(mount, 0o700))
	must(t, os.Chown(mount, l.uid, l.gid))
	must(t, syscall.Chmod(mount, l.mode))
	if l.mine {
		must(t, os.Mkdir(filepath.Join(mount, l.below), 0o700))
		must(t, os.Chown(filepath.Join(mount, l.below), int(l.user.Uid), int(l.user.Gid)))
		must(t, os.Chmod(filepath.Join(mount, l.below), 0o700))
	}
	return mount
}

// start runs podProcess as the layout's user.
func (l *layout) start(t *testing.T, path, start string, inPod bool) podReport {
	t.Helper()
	cmd := childOf(t, &l.user, "pod", path, start)
	cmd.Env = append(cmd.Env, "KUBERNETES_SERVICE_HOST=")
	if inPod {
		cmd.Env = append(cmd.Env, "KUBERNETES_SERVICE_HOST=10.0.0.1")
	}
	out, err := cmd.Output()
	must(t, err)
	var report podReport
	must(t, json.Unmarshal(out, &report))
	return report
}

// In a pod, every directory that a pod can have for writing takes a versions directory, and says
// what that is worth. Outside of one, nothing that others can write to does.
func TestPodLayouts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NEEDS ROOT: only root can be all these users")
	}
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			mount := l.mount(t)
			path := filepath.Join(mount, l.below)
			got := l.start(t, path, "first", true)
			if l.lands == "" {
				if got.Error == "" || !got.ReadOnly && got.Insecure == nil || got.Insecure != nil && strings.Contains(got.Insecure.Remedy, "chmod") {
					t.Fatalf("got %+v, want a refusal whose remedy is not to change what is somebody else's", got)
				}
				return
			}
			if got.Error != "" || got.Location != filepath.Join(mount, l.lands) {
				t.Fatalf("got %+v, want it to work in %q", got, l.lands)
			}
			warned := strings.Contains(strings.Join(got.Warnings, "\n"), fmt.Sprintf("is in %q, which others in this pod can write to", mount))
			if warned != l.warns {
				t.Errorf("got warnings %q, want one about the mount: %v", got.Warnings, l.warns)
			}
			var st syscall.Stat_t
			must(t, syscall.Stat(got.Location, &st))
			if st.Uid != l.user.Uid || st.Mode&0o777 != 0o700 {
				t.Errorf("got mode %o of user %d, want 0700 of %d", st.Mode&0o7777, st.Uid, l.user.Uid)
			}
			if again := l.start(t, path, "next", true); again.Error != "" || again.Location != got.Location {
				t.Errorf("the pod's next start: got %+v, want what the first one left", again)
			}

			outside := l.start(t, filepath.Join(l.mount(t), l.below), "first", false)
			if works := outside.Error == ""; works != l.strict {
				t.Errorf("outside of a pod: got %+v, want that it works: %v", outside, l.strict)
			}
			if outside.Insecure != nil && (outside.Insecure.Remedy == "" || l.user.Uid != 0 && strings.Contains(outside.Insecure.Remedy, "chmod")) {
				t.Errorf("outside of a pod: got the remedy %q, want one that the user can carry out", outside.Insecure.Remedy)
			}
		})
	}
}

// At a pod's start the kubelet gives a volume to its fsGroup: everything in it becomes writable by
// the group. What is ours is taken back.
func TestPodFSGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NEEDS ROOT: only root can do what a kubelet does")
	}
	l := layout{gid: 1001, mode: 0o2775, user: pod(1001, 1001, 1001), below: "ebb"}
	mount := l.mount(t)
	path := filepath.Join(mount, l.below)
	if got := l.start(t, path, "first", true); got.Error != "" {
		t.Fatal(got.Error)
	}
	widen := func() {
		must(t, filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			var st syscall.Stat_t
			err = errors.Join(err, os.Lchown(path, -1, 1001), syscall.Stat(path, &st))
			mode := st.Mode&0o7777 | 0o660
			if entry.IsDir() {
				mode |= 0o2770
			}
			return errors.Join(err, syscall.Chmod(path, mode))
		}))
	}
	widen()
	if got := l.start(t, path, "next", false); got.Error == "" {
		t.Error("outside of a pod: got no error")
	}
	if got := l.start(t, path, "next", true); got.Error != "" {
		t.Fatal(got.Error)
	}
	must(t, filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		info, statErr := os.Lstat(path)
		if err = errors.Join(err, statErr); err == nil && (entry.IsDir() || strings.HasSuffix(path, "journal.jsonl")) && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: got mode %v, want it ours alone again", path, info.Mode())
		}
		return err
	}))

	// Another one's file among them stays refused.
	planted := filepath.Join(path, "1-planted")
	must(t, os.Mkdir(planted, 0o700))
	must(t, os.Chown(planted, 1002, 1001))
	d, err := versions.NewDir(path, versions.WithTrust(versions.TrustVolume))
	must(t, err)
	if _, err := d.Open(t.Context(), "1-planted"); !errors.As(err, new(*versions.InsecureError)) {
		t.Errorf("got %v, want an *InsecureError", err)
	}
}

// Below a volume every name is opened through the directory above it: nobody's link leads
// elsewhere.
func TestVolumeFollowsNoLinks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NEEDS ROOT: only root can make another user's link")
	}
	l := layout{mode: 0o777, user: pod(1001, 1001)}
	mount := l.mount(t)
	elsewhere := filepath.Join(publicDir(t), "elsewhere")
	must(t, os.Mkdir(elsewhere, 0o700))
	must(t, os.Chown(elsewhere, 1001, 1001))
	link := filepath.Join(mount, "ebb")
	must(t, os.Symlink(elsewhere, link))
	must(t, os.Lchown(link, 1002, 1002))
	for _, below := range []string{"ebb", "ebb/versions"} {
		got := l.start(t, filepath.Join(mount, below), "first", true)
		if got.Insecure == nil {
			t.Errorf("%s: got %+v, want a refusal", below, got)
		}
	}
	entries, err := os.ReadDir(elsewhere)
	must(t, err)
	if len(entries) > 0 {
		t.Errorf("got %v where the link leads, want nothing", entries)
	}
}

func TestParseTrust(t *testing.T) {
	for text, want := range map[string]versions.Trust{"": versions.TrustAuto, "auto": versions.TrustAuto, "strict": versions.TrustStrict, "volume": versions.TrustVolume} {
		if got, err := versions.ParseTrust(text); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"Auto", "none", " strict"} {
		if got, err := versions.ParseTrust(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}
