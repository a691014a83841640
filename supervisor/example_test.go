package supervisor_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

// own is what this program's workers have to know.
type own struct{ VersionsDirectory string }

// newRunner makes the runner of a worker.
func newRunner(s own, w *supervisor.Worker) (*runner.Runner, error) {
	store, err := versions.NewDir(s.VersionsDirectory)
	if err != nil {
		return nil, err
	}
	return runner.New(store, runner.Options{Hooks: w.Hooks})
}

// A program replays what is pending. The undo of one file takes its process down; the program
// says so, and the other file is restored.
//
// The program's main begins with
//
//	supervisor.Main(newRunner)
//
// which is where its workers stay.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	write(dir, 1, `log.info("undone")`)
	write(dir, 2, `[[0] * (1 << 20) for _ in range(1000)]`)

	s, err := supervisor.New(newRunner, own{dir}, supervisor.Options{Memory: 128 << 20, Output: io.Discard, Args: []string{exampleName}})
	if err != nil {
		log.Fatal(err)
	}
	report, err := s.Replay(context.Background(), runner.ReplayOptions{Parallel: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range report.Results {
		fmt.Println(r.File.Execution, r.Outcome)
		if r.Err != nil {
			fmt.Println(r.Err)
		}
	}
	// Output:
	// 2-example failed
	// the process that replayed it used more than 128 MiB of memory
	// 1-example restored
}

// exampleName tells the workers of the example from those of the tests, whose program is the same.
const exampleName = "example"

// write writes a version file, as a run that was killed leaves it.
func write(dir string, n int, undo string) {
	name := filepath.Join(dir, fmt.Sprintf("%d-example", n), fmt.Sprintf("x_scenarios_%d_aaaaaaaa.star", n))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		log.Fatal(err)
	}
	content := fmt.Sprintf("rollback_version = RollbackVersion(format = 1)\nrollback_content = RollbackContent()\n\n"+
		"def rollback_callable(rollback_content):\n    %s\n\ndef verify_callable(rollback_content):\n    pass\n", undo)
	if err := os.WriteFile(name, []byte(content), 0o700); err != nil {
		log.Fatal(err)
	}
}
