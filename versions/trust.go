package versions

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Trust says which directories may be parents of a versions directory.
type Trust string

// The kinds of trust. TrustAuto, the zero value, is TrustVolume inside a pod and TrustStrict
// elsewhere.
const (
	TrustAuto Trust = ""

	// With TrustStrict, every parent must belong to root or to this user. If others can write to a
	// parent, it must be sticky.
	TrustStrict Trust = "strict"

	// TrustVolume also accepts a volume of a pod as a parent: a directory that root owns and that
	// others in the pod can write to, or that this user's group can. The store creates a directory
	// of its own in it, with mode 0700, and applies the strict rules from there on. The cost:
	// another user of the volume can rename or remove that directory, or put an older one of this
	// user back. Others can't read or change its content, with one exception: at the start of the
	// pod, the kubelet may give it to the group of the volume. The next call of this package takes
	// that back.
	TrustVolume Trust = "volume"
)

// ParseTrust reads "auto", "strict" or "volume"; "" is auto.
func ParseTrust(text string) (Trust, error) {
	switch text {
	case "", "auto":
		return TrustAuto, nil
	case string(TrustStrict), string(TrustVolume):
		return Trust(text), nil
	}
	return "", fmt.Errorf("directory trust: got %q, want auto, strict or volume", text)
}

func (t Trust) volume() bool {
	return t == TrustVolume || t == TrustAuto && os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// open opens a directory with this trust.
func (t Trust) open(system durable.System, path string, create bool) (*durable.Dir, error) {
	if t.volume() {
		return durable.OpenVolume(system, path, create)
	}
	return durable.Open(system, path, create)
}

// place is the directory that a path names. If that is a volume, it is the directory of this user
// in it.
func (t Trust) place(path string) string {
	if t.volume() && durable.IsVolume(path) {
		return filepath.Join(path, "ebb-"+strconv.Itoa(os.Geteuid()))
	}
	return path
}

// warnings names the volumes in a path.
func (t Trust) warnings(path string) []string {
	var warnings []string
	if t.volume() {
		for _, volume := range durable.Volumes(path) {
			warnings = append(warnings, fmt.Sprintf("versions directory %q is in %q, which others in this pod can write to: they can take it away, though not change what is in it", path, volume))
		}
	}
	return warnings
}

// A DirOption is an option of [NewDir] and [Locate].
type DirOption func(*Dir)

// WithTrust sets which parents the directory may have. The default is [TrustAuto].
func WithTrust(t Trust) DirOption { return func(d *Dir) { d.trust = t } }
