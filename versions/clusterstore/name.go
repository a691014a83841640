package clusterstore

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// The kinds of objects that a store has.
var (
	secrets = kube.Resource{Version: "v1", Kind: "Secret", Plural: "secrets", Namespaced: true}
	leases  = kube.Resource{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease", Plural: "leases", Namespaced: true}
)

// The labels of its objects.
const (
	labelRun       = kube.RunLabel
	labelType      = "ebb.dev/scenario-type"
	labelExecution = "ebb.dev/execution"
	labelState     = "ebb.dev/state"
	labelCluster   = "ebb.dev/cluster-uid"
	labelObject    = "ebb.dev/store" // the purpose of an object: see below
)

// The purposes of objects.
const (
	objectFile    = "version-file"
	objectFence   = "fence"
	objectLease   = "execution"
	objectJournal = "journal"
)

// stateRemoved is the state of a file that its holder removed while the execution was open. The
// ordinal stays used until the execution is closed.
const stateRemoved = "removed"

// stateOriginal is the state of the content of a file before an edit.
const stateOriginal = "original"

// The annotations of its objects.
const (
	noteExecution  = "ebb.dev/execution-id"
	noteFile       = "ebb.dev/file" // the file's name while it is pending
	noteSize       = "ebb.dev/size" // of the content
	noteHolder     = "ebb.dev/holder"
	noteLast       = "ebb.dev/last-holder" // the holder that released the Lease
	noteInFlight   = "ebb.dev/in-flight"
	noteExecutedBy = "ebb.dev/executed-by"
	noteExecutedAt = "ebb.dev/executed-at"
)

// The types of its Secrets, and the keys of their data.
const (
	typeFile    = "ebb.dev/version-file"
	typeFence   = "ebb.dev/fence"
	typeJournal = "ebb.dev/journal"

	dataFile      = "file"
	dataSignature = "signature"
	dataKey       = "key-id"
)

// isFile selects the Secrets of version files.
const isFile = "type=" + typeFile

const objectPrefix = "ebb-"

// objectName is the name of the Lease of an execution, and the prefix of the names of its Secrets.
// An ID that is not a valid name in Kubernetes, such as one with capitals, is hashed.
func objectName(id string) string {
	name := objectPrefix + id
	if len(validation.IsDNS1123Subdomain(name+"-1")) == 0 {
		return name
	}
	timestamp, _, _ := strings.Cut(id, "-")
	return objectPrefix + timestamp + "-" + shortHash(id)
}

// secretName is the name of the Secret with an ordinal.
func secretName(id string, ordinal int) string { return objectName(id) + "-" + strconv.Itoa(ordinal) }

// ordinalOf is the reverse of secretName.
func ordinalOf(id, name string) (int, bool) {
	// The API server has accepted the name, so it need not be checked; a list has thousands.
	digits, ok := strings.CutPrefix(name, objectPrefix+id+"-")
	if !ok {
		digits, ok = strings.CutPrefix(name, objectName(id)+"-")
	}
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && strconv.Itoa(n) == digits
}

// labelValue returns a text as a label value. A text that is too long is hashed.
func labelValue(text string) string {
	if len(validation.IsValidLabelValue(text)) == 0 {
		return text
	}
	return "sha256-" + shortHash(text)
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}
