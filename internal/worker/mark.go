package worker

import (
	"fmt"
	"os"
	"strconv"
)

// variable marks a worker. Its value is the PID of the process that started it.
const variable = "EBB_WORKER_OF"

// Take reports whether this process was started as a worker, and removes the mark. It returns an
// error if the mark is not by the parent of this process.
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
