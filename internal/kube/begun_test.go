package kube

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// B3: what container runtimes say when they have started nothing is an answer, and no doubt. What
// may come while a command runs stays one.
func TestRuntimeStartedNothing(t *testing.T) {
	t.Parallel()
	for text, never := range map[string]bool{
		`Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "1f": OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH: unknown`: true,
		`Internal error occurred: error executing command in container: container is not created or running`:                                                                                                                                                      true,
		`Internal error occurred: error executing command in container: rpc error: code = NotFound desc = container not found`:                                                                                                                                    true,
		`Internal error occurred: error executing command in container: failed to exec in container: failed to load task: no running task found: task 1f not found: not found`:                                                                                    true,
		`Internal error occurred: error executing command in container: container is in CONTAINER_EXITED state`:                                                                                                                                                   true,
		`Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "1f": OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown`:                                                true,
		"Internal error occurred: error executing command in container: executable file `sh` not found in $PATH: No such file or directory":                                                                                                                       true,
		`Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "1f": context deadline exceeded: unknown`:                                                                                               false,
		`Internal error occurred: error executing command in container: failed to exec in container: failed to create exec "1f": ttrpc: closed: unknown`:                                                                                                          false,
		`Internal error occurred: error executing command in container: read unix @->/run/containerd/s/1: connection reset by peer`:                                                                                                                               false,
		`Internal error occurred: unable to upgrade connection: timed out`:                                                                                                                                                                                        false,
	} {
		err := apierrors.NewInternalError(errors.New(text))
		err.ErrStatus.Message = text
		if got := neverBegan(fmt.Errorf("exec: %w", err)); got != never {
			t.Errorf("%s: nothing was started: got %t, want %t", text, got, never)
		}
	}
}
