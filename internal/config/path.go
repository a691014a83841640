package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ebb-chaos/ebb/schema"
)

// KubeconfigPath is the file that a flag or config.yaml names, ~ expanded. Without one it stays
// empty, which to the client means what it means to kubectl: the files in KUBECONFIG, which may be
// several, then ~/.kube/config, then the pod's own account.
func KubeconfigPath(written string) (string, error) { return expand(written) }

// ServiceAccount is the token that each pod has that may speak to the API server. A variable for tests.
var ServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// errNoHome is for a ~ of somebody who has no home, as an arbitrary user in a pod.
var errNoHome = errors.New("there is no home directory")

// expand replaces a leading ~ by the home directory. Nothing else is expanded: a path with a $ is a
// path with a $.
func expand(path string) (string, error) {
	if !strings.HasPrefix(path, "~") {
		return path, nil
	}
	rest := path[1:]
	if rest != "" && rest[0] != '/' {
		return "", fmt.Errorf("got %q, want ~/ or the whole path: another user's home is not looked up", path)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%q can't be expanded: %w: %w", path, errNoHome, err)
	}
	return filepath.Join(home, rest), nil
}

// MissingError says that there is no configuration file.
type MissingError struct {
	File      string
	Directory string // the working directory, which a relative File is looked for in
}

func (e *MissingError) Error() string {
	if filepath.IsAbs(e.File) {
		return fmt.Sprintf("configuration file %q: does not exist", e.File)
	}
	return fmt.Sprintf("configuration file %q: does not exist in %q", e.File, e.Directory)
}

// Is makes the error one that says that a file doesn't exist.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

func readFile(file string) ([]byte, error) {
	data, err := schema.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	// Without a working directory the error is still about the file.
	dir, wdErr := os.Getwd()
	if wdErr != nil {
		dir = "."
	}
	return nil, &MissingError{File: file, Directory: dir}
}
