package versions

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Trust says what may stand above a versions directory.
type Trust string

// The kinds of trust. TrustAuto, the zero value, is TrustVolume inside a pod and TrustStrict
// elsewhere.
const (
	TrustAuto Trust = ""

	// TrustStrict wants every parent to belong to root or us, and to be sticky where others can
	// write to it.
	TrustStrict Trust = "strict"

	// TrustVolume also takes for a parent what a pod has as a volume: a directory that root owns
	// and that others in the pod can write to, or one that our group can. A directory of ours, mode
	// 0700, is made in it, and from there down everything is as strict. What is lost: whoever else
	// can write to the volume can take that directory away, with what is in it, or put an older one
	// of ours back. He can't read or change what is in it, unless the kubelet gives it to the
	// volume's group at the start of the pod, which the next call here takes back.
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

// open is how a directory of this trust is opened.
func (t Trust) open(system durable.System, path string, create bool) (*durable.Dir, error) {
	if t.volume() {
		return durable.OpenVolume(system, path, create)
	}
	return durable.Open(system, path, create)
}

// place is the directory that a path names: itself, or one of ours on the volume that it is.
func (t Trust) place(path string) string {
	if t.volume() && durable.IsVolume(path) {
		return filepath.Join(path, "ebb-"+strconv.Itoa(os.Geteuid()))
	}
	return path
}

// warnings tell of the volumes that a path leads through.
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

// WithTrust says what may stand above the directory; the default is [TrustAuto].
func WithTrust(t Trust) DirOption { return func(d *Dir) { d.trust = t } }
