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

// KubeconfigPath returns the file that a flag or config.yaml names, with ~ expanded. If none is
// named, it returns "". The client then searches as kubectl does: the files in KUBECONFIG (there
// may be several), then ~/.kube/config, then the service account of the pod.
func KubeconfigPath(written string) (string, error) { return expand(written) }

// ServiceAccount is the token file of a pod that may use the API server. Tests change it.
var ServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// errNoHome is the error for ~ if the user has no home directory, as an arbitrary user in a pod.
var errNoHome = errors.New("there is no home directory")

// expand replaces a leading ~ by the home directory. It expands nothing else, such as $.
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

// MissingError means that there is no configuration file.
type MissingError struct {
	File      string
	Directory string // the working directory, to which a relative File refers
}

func (e *MissingError) Error() string {
	if filepath.IsAbs(e.File) {
		return fmt.Sprintf("configuration file %q: does not exist", e.File)
	}
	return fmt.Sprintf("configuration file %q: does not exist in %q", e.File, e.Directory)
}

// Is makes errors.Is(err, fs.ErrNotExist) true.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

func readFile(file string) ([]byte, error) {
	data, err := schema.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	// Without a working directory, the error is still about the file.
	dir, wdErr := os.Getwd()
	if wdErr != nil {
		dir = "."
	}
	return nil, &MissingError{File: file, Directory: dir}
}
