package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ConfigError means that a kubeconfig can't be used for any request. Nothing was sent. Somebody has
// to change the kubeconfig first.
type ConfigError struct {
	// File is the kubeconfig, or the list of the files that were looked for. It is empty for a
	// configuration without a file.
	File string
	// Context is the context that was wanted, or "" if the error came before that.
	Context string
	Err     error

	hints []string
}

func (e *ConfigError) Unwrap() error { return e.Err }

func (e *ConfigError) Error() string {
	text := "kubeconfig"
	if e.File != "" {
		text += fmt.Sprintf(" %q", e.File)
	}
	if e.Context != "" {
		text += fmt.Sprintf(", context %q", e.Context)
	}
	return text + ": " + e.Err.Error()
}

// Hints is what can be done about it.
func (e *ConfigError) Hints() []string { return e.hints }

// noPlace reports whether the default path of a file can't exist. In a pod, the home of a user may
// be /dev/null, or the home of root, which the user may not read.
func noPlace(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrPermission) && path == clientcmd.RecommendedHomeFile && inPod()
}

// inPod reports whether there is a token of a service account to use instead.
func inPod() bool {
	_, err := os.Stat("/var/run/secrets/kubernetes.io/serviceaccount/token")
	return err == nil
}

// LoadConfig reads a kubeconfig. An empty path means $KUBECONFIG, then ~/.kube/config, then
// the service account of the pod that this runs in. An empty context means the file's current
// one. Errors are a [*ConfigError].
func LoadConfig(kubeconfig, context string) (*rest.Config, error) {
	// clientcmd's errors name neither the file nor what there is.
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.MigrationRules = nil // nothing is copied to a home, and a home that is no directory is no error
	rules.Precedence = slices.DeleteFunc(rules.Precedence, noPlace)
	file := kubeconfig
	if file == "" {
		file = strings.Join(rules.GetLoadingPrecedence(), string(filepath.ListSeparator))
	}
	for _, path := range rules.GetLoadingPrecedence() {
		if err := checkKubeconfig(path); err != nil {
			return nil, &ConfigError{File: path, Err: err}
		}
	}
	raw, err := rules.Load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &ConfigError{File: file, Err: errors.New("no such file"), hints: otherFile(kubeconfig)}
	case err != nil && strings.Contains(err.Error(), "couldn't get version/kind"): // the rest is about Go
		return nil, &ConfigError{File: file, Err: errors.New("not a kubeconfig: want YAML or JSON with apiVersion and kind")}
	case err != nil:
		return nil, &ConfigError{File: file, Err: err}
	}
	current := context
	if current == "" {
		current = raw.CurrentContext
	}
	if err := checkContext(raw, current); err != nil {
		err.File = file
		if len(raw.Contexts) == 0 {
			err.hints = append(err.hints, otherFile(kubeconfig)...)
		}
		return nil, err
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, &ConfigError{File: file, Err: errors.New("none found: looked there, and for a pod's service account"), hints: otherFile(kubeconfig)}
	case err != nil:
		return nil, &ConfigError{File: file, Context: current, Err: err}
	}
	return config, nil
}

// otherFile returns hints for a file that is not there. KUBECONFIG does not help somebody who named
// a file, since the named file is used first.
func otherFile(kubeconfig string) []string {
	set := os.Getenv(clientcmd.RecommendedConfigPathEnvVar)
	switch {
	case kubeconfig != "" && set != "":
		return []string{fmt.Sprintf("KUBECONFIG=%s is set, and not used because another file was named", set)}
	case kubeconfig == "" && set != "":
		return []string{fmt.Sprintf("KUBECONFIG is set to %s: set it to a file that exists", set)}
	case kubeconfig == "":
		return []string{"set KUBECONFIG to the kubeconfig of the cluster"}
	}
	return nil
}

// mostKubeconfig is far more than a file with hundreds of clusters has.
const mostKubeconfig = 16 << 20

// checkKubeconfig refuses what is no regular file, and a file that is too large: clientcmd would
// wait for it, or read until the memory is full. A pipe can't work, since clientcmd reads a file
// twice.
func checkKubeconfig(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil // for clientcmd to say
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Size() > mostKubeconfig:
		return fmt.Errorf("got %d bytes, want at most %d", info.Size(), mostKubeconfig)
	}
	return nil
}

// checkContext refuses a context that does not exist. If none is named, clientcmd chooses, and may
// use the service account of the pod.
func checkContext(raw *clientcmdapi.Config, current string) *ConfigError {
	if current == "" && len(raw.Contexts) == 0 {
		return nil
	}
	names := make([]string, 0, len(raw.Contexts))
	for name := range raw.Contexts {
		names = append(names, fmt.Sprintf("%q", name))
	}
	slices.Sort(names)
	known := "it has none"
	if len(names) > 0 {
		known = "it has " + strings.Join(names, ", ")
	}
	context, ok := raw.Contexts[current]
	switch {
	case current == "":
		return &ConfigError{Err: errors.New("no current context: " + known), hints: []string{"kubectl config use-context NAME"}}
	case !ok:
		return &ConfigError{Err: fmt.Errorf("no context %q: %s", current, known)}
	case raw.Clusters[context.Cluster] == nil:
		return &ConfigError{Context: current, Err: fmt.Errorf("no cluster %q in the file", context.Cluster)}
	}
	return nil
}
