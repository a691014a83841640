package config

import (
	"time"

	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/versions"
)

// DefaultVersionsDirectory is used if the configuration names no directory.
const DefaultVersionsDirectory = "/tmp/kraken-rollback"

// Krkn's defaults for missing keys.
const (
	defaultWait       = 60 // seconds
	defaultIterations = 1
)

// Config is the part of config.yaml that ebb reads.
type Config struct {
	File                       string          // as it was given
	Kubeconfig                 string          // ~ expanded; "" for the client's own search
	AutoRollback               bool            // true unless switched off
	VersionsDirectory          string          // ~ expanded
	VersionsDirectoryDefaulted bool            // the file names no directory
	DirectoryTrust             versions.Trust  // which parents of the versions directory are accepted
	Events                     bool            // write Kubernetes Events about changes and restores
	Store                      Store           // where version files are kept, in addition to the directory or instead of it
	ExitOnFailure              bool            // stop after the first scenario that fails
	ScriptsDirectory           string          // the user's own scenario scripts, ~ expanded; "" if there are none
	Scenarios                  []ScenarioEntry // in the order of the file
	WaitDuration               time.Duration   // between scenarios
	Iterations                 int             // at least 1; DaemonMode overrides it
	DaemonMode                 bool            // repeat forever
	RunUUID                    string          // "" to generate one
	Ignored                    []string        // accepted keys that have no effect, sorted, for a debug message
	Warnings                   []string        // for the log, in the order of the file
}

// Store says where version files are kept, and how they are signed.
type Store struct {
	Kind       string // StoreDirectory, StoreCluster or StoreBoth
	Kubeconfig string // of the cluster that holds the store, ~ expanded; "" for the target cluster
	Namespace  string // "" for the default
	Required   bool   // if there are two copies, a failure to write the one in the cluster is an error
	SigningKey string // file of the private key, ~ expanded; "" for none
	PublicKeys string // file or directory of public keys, ~ expanded; "" for none

	// Where the file names the keys, for errors: file, line and key.
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
	Err  error  // why it can't be run; ignored if its type is skipped
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

// LoadForRollback reads what undoing needs: where the version files and the cluster are. All other
// errors in the file become warnings. Safety keys are ignored, because an undo is no chaos.
// Scenarios are not read.
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
