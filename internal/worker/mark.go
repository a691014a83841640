package worker

import (
	"fmt"
	"os"
	"strconv"
)

// variable marks a worker: its value is the process ID of who started it.
const variable = "EBB_WORKER_OF"

// Take reports whether this process was started as a worker, and removes the mark. The error is for
// a mark that was not made by this process's parent.
func Take() (bool, error) {
	value, marked := os.LookupEnv(variable)
	if !marked {
		return false, nil
	}
	if err := os.Unsetenv(variable); err != nil {
		return true, err
	}
	if value != strconv.Itoa(os.Getppid()) {
		return true, fmt.Errorf("environment variable %s: got %q; it is for the program's own use, want it unset", variable, value)
	}
	return true, nil
}

// mark is the environment of a worker.
func mark() []string {
	return append(os.Environ(), variable+"="+strconv.Itoa(os.Getpid()))
}
