package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shapeFiles returns the files of the shapes that Krkn's users have.
func shapeFiles() ([]txtar.File, error) {
	var files []txtar.File
	for _, name := range []string{"shapes", "slips", "siblings"} {
		part, err := txtar.ParseFile("../../testdata/krkn/" + name + ".txtar")
		if err != nil {
			return nil, err
		}
		files = append(files, part.Files...)
	}
	return files, nil
}

// accepted reports whether a check takes a file.
func accepted(file txtar.File) bool { return !bytes.HasPrefix(file.Data, []byte("# refused: ")) }

// shapes PATTERN [OLD=>NEW]... runs the accepted files of testdata/krkn whose whole names match, one after the other.
// "shop" in them stands for $NS, and each OLD for its NEW; one of the files must have it. A run is interrupted as
// soon as its chaos is in force, since many of the files ask for minutes; that of a configuration is not. Nothing of
// the run may be left in any namespace. The cluster is $SHAPES_KUBECONFIG.
func cmdShapes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: shapes PATTERN [OLD=>NEW]...")
	}
	files, err := shapeFiles()
	ts.Check(err)
	files = slices.DeleteFunc(files, func(file txtar.File) bool { return !accepted(file) || !whole(args[0]).MatchString(file.Name) })
	if len(files) == 0 {
		ts.Fatalf("no accepted file matches %s", args[0])
	}
	used := map[string]bool{}
	for _, file := range files {
		content := regexp.MustCompile(`\bshop\b`).ReplaceAllLiteralString(string(file.Data), ts.Getenv("NS"))
		for _, pair := range args[1:] {
			old, replacement, ok := strings.Cut(pair, "=>")
			if !ok {
				ts.Fatalf("shapes: got %q, want OLD=>NEW", pair)
			}
			used[pair] = used[pair] || strings.Contains(content, old)
			content = strings.ReplaceAll(content, old, replacement)
		}
		runShape(ts, file.Name, content)
	}
	for _, pair := range args[1:] {
		if !used[pair] {
			ts.Fatalf("shapes: %q replaces nothing", pair)
		}
	}
}

// runShape runs one file: a configuration, or a scenario file of its own configuration.
func runShape(ts *testscript.TestScript, name, content string) {
	scenarioType, base, _ := strings.Cut(name, "/")
	path, config := scenarioType+"-"+base, content
	if scenarioType != "config" {
		ts.Check(os.WriteFile(ts.MkAbs(path), []byte(content), 0o600))
		config = fmt.Sprintf("kraken: {chaos_scenarios: [%s: [%s]]}\n", scenarioType, path)
	}
	if !strings.Contains(config, "kraken: {") {
		ts.Fatalf("%s: it has no kraken: {", name)
	}
	where := fmt.Sprintf("kraken: {kubeconfig_path: %q, rollback_versions_directory: shape-versions, ", ts.Getenv("SHAPES_KUBECONFIG"))
	config = strings.Replace(config, "kraken: {", where, 1)
	if !strings.Contains(config, "tunings:") {
		config += "tunings: {wait_duration: 0}\n" // a minute between two scenarios otherwise
	}
	ts.Check(os.WriteFile(ts.MkAbs("shape-config.yaml"), []byte(config), 0o600))
	code, said := runInForce(ts, name, "shape-config.yaml", scenarioType != "config")
	// Without an effect it is 1. What ends by itself, such as the kill of a pod, may have ended before the signal came.
	if code != "0" && (code != "130" || scenarioType == "config") {
		ts.Fatalf("%s: exit code %s, want 130 or 0; it said:\n%s", name, code, said)
	}
	uuid := runUUID.FindStringSubmatch(said)
	if uuid == nil {
		ts.Fatalf("%s: it did not say its run_uuid:\n%s", name, said)
	}
	wantNothingOf(ts, name, uuid[1])
}

var runUUID = regexp.MustCompile(`run_uuid=(\S+)`)

// runInForce runs a configuration, and interrupts it as soon as its chaos is in force. It returns the exit code and
// the log.
func runInForce(ts *testscript.TestScript, name, config string, interrupt bool) (code, said string) {
	// A busy machine takes its time for an undo.
	cmdStart(ts, false, []string{"shape", "ebb", "run", "--config", config, "--grace", "5m"})
	p := processOf(ts, "shape")
	var err error
	ended := func() bool {
		said = ts.ReadFile("shape.err")
		if interrupt && strings.Contains(said, "Chaos is in force on") {
			interrupt = false
			if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
				ts.Fatalf("%s: %v", name, err)
			}
		}
		select {
		case err = <-p.done:
			return true
		default:
			return false
		}
	}
	// The longest have several maps, each with a helper pod.
	stopped := false
	for range 3 {
		stopped = stopped || eventually(ended)
	}
	if !stopped {
		ts.Fatalf("%s: still runs; it said:\n%s", name, said)
	}
	processes.Delete(processID{ts, "shape"})
	return codeOf(err), ts.ReadFile("shape.err")
}

// wantNothingOf fails if an object that a run has made is left in any namespace.
func wantNothingOf(ts *testscript.TestScript, name, uuid string) {
	for _, kind := range []string{"pods", "configmaps", "networkpolicies", "jobs"} {
		list, err := dynamicClient(ts).Resource(kinds[kind]).List(context.Background(), metav1.ListOptions{LabelSelector: "ebb.dev/run-uuid=" + uuid})
		ts.Check(err)
		for _, item := range list.Items {
			if item.GetDeletionTimestamp() == nil {
				ts.Fatalf("%s: %s %s is left in namespace %s", name, kind, item.GetName(), item.GetNamespace())
			}
		}
	}
}

// TestEveryShapeRuns fails for an accepted file that no script runs.
func TestEveryShapeRuns(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("../../testdata/script/shapes_*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^(?:\[netem\] )?shapes (?:'([^']+)'|(\S+))`)
	var patterns []*regexp.Regexp
	for _, script := range scripts {
		content, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range line.FindAllStringSubmatch(string(content), -1) {
			patterns = append(patterns, whole(match[1]+match[2]))
		}
	}
	files, err := shapeFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file.Name == "config/all.yaml" {
			continue // each type needs another cluster; run_krkn_config.txtar runs such a file, with some of them
		}
		if accepted(file) && !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(file.Name) }) {
			t.Errorf("%s is taken by a check, but no script of testdata/script/shapes_*.txtar runs it", file.Name)
		}
	}
}
