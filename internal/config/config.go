package config

import (
	"time"

	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/versions"
)

// DefaultVersionsDirectory is where version files are when the configuration names no directory.
const DefaultVersionsDirectory = "/tmp/kraken-rollback"

// Krkn's defaults, for keys that a file leaves out.
const (
	defaultWait       = 60 // seconds
	defaultIterations = 1
)

// Config is what ebb reads of config.yaml.
type Config struct {
	File                       string          // as it was given
	Kubeconfig                 string          // ~ expanded; "" for the client's own search
	AutoRollback               bool            // true unless switched off
	VersionsDirectory          string          // ~ expanded
	VersionsDirectoryDefaulted bool            // the file names none
	DirectoryTrust             versions.Trust  // what may stand above the versions directory
	Events                     bool            // Kubernetes Events on what is changed and restored
	Store                      Store           // where version files are kept, beside the directory or in its place
	ExitOnFailure              bool            // stop after the first scenario that fails
	ScriptsDirectory           string          // the user's own scenario scripts, ~ expanded; "" when there is none
	Scenarios                  []ScenarioEntry // in the order of the file
	WaitDuration               time.Duration   // between scenarios
	Iterations                 int             // at least 1; DaemonMode overrules it
	DaemonMode                 bool            // for ever
	RunUUID                    string          // "" when one is to be generated
	Ignored                    []string        // keys that are accepted and have no effect, sorted, for a debug line
	Warnings                   []string        // for the log, in the order of the file
}

// Store says where version files are kept, and how they are signed.
type Store struct {
	Kind       string // StoreDirectory, StoreCluster or StoreBoth
	Kubeconfig string // of the cluster that has it, ~ expanded; "" for the target's
	Namespace  string // "" for the default
	Required   bool   // of both copies, the one in the cluster has to be written
	SigningKey string // file of the private key, ~ expanded; "" for none
	PublicKeys string // file or directory of public keys, ~ expanded; "" for none

	// Where the file says so, for errors about what is there: file, line and key.
	SigningKeyAt, PublicKeysAt string
}

// The kinds of stores.
const (
	StoreDirectory = "directory"
	StoreCluster   = "cluster"
	StoreBoth      = "both"
)

// ScenarioEntry is one scenario file of kraken.chaos_scenarios.
type ScenarioEntry struct {
	Type string
	Path string // as written: relative to the working directory
	Line int    // in config.yaml
	Err  error  // why it can't be run, which is no matter where its type is skipped
}

// Options change what Load accepts.
type Options struct {
	IgnoreSafetyKeys bool // an enabled safety key is a warning, not an error
}

// Load reads the configuration of a run.
func Load(file string, o Options) (*Config, error) {
	return load(file, func(l *loader) {
		l.scenarios()
		l.safetyKeys(o.IgnoreSafetyKeys)
	}, read)
}

// LoadForRollback reads what undoing needs: where the version files and the cluster are. Other
// mistakes in the file are warnings, and safety keys don't matter, since an undo is no chaos.
// Scenarios are not filled in.
func LoadForRollback(file string) (*Config, error) {
	return load(file, func(*loader) {}, needed)
}

func load(file string, more func(*loader), fatal func(key string) bool) (*Config, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	root, err := schema.Parse(file, data)
	if err != nil {
		return nil, err
	}
	l := &loader{file: file, root: root, config: &Config{File: file}}
	l.fields()
	more(l)
	return l.result(fatal)
}
