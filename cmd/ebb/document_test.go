package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/rogpeppe/go-internal/testscript"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

var updateSchemas = flag.Bool("update-schemas", false, "write docs/schema anew")

// schemas make the schemas of the documents, by their kinds.
var schemas = map[string]func(*jsonschema.ForOptions) (*jsonschema.Schema, error){
	"list":          jsonschema.For[listDocument],
	"list problem":  jsonschema.For[listProblemDocument],
	"results":       jsonschema.For[resultsDocument],
	"version file":  jsonschema.For[showDocument],
	"journal entry": jsonschema.For[historyDocument],
	"run":           jsonschema.For[runDocument],
	"test":          jsonschema.For[testDocument],
	"check":         jsonschema.For[checkDocument],
}

func schemaFile(kind string) string {
	return filepath.Join("..", "..", "docs", "schema", strings.ReplaceAll(kind, " ", "-")+".json")
}

// TestSchemas holds docs/schema equal to what the documents are.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for kind, make := range schemas {
		schema, err := make(&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
			reflect.TypeFor[json.RawMessage](): {Type: "object"}, // an object of Kubernetes
		}})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		schema.Title = "ebb: " + kind
		// What encoding/json makes of a nil map, slice or pointer is null, and ",string" is unknown
		// to the generator.
		adjust(schema)
		schema.Properties["kind"].Const = jsonschema.Ptr[any](kind)
		schema.Properties["version"].Const = jsonschema.Ptr[any](versionOf(kind))
		text, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, '\n')
		if *updateSchemas {
			if err := os.WriteFile(schemaFile(kind), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(schemaFile(kind))
		if err != nil || !bytes.Equal(text, want) {
			t.Errorf("%s is not what ebb prints (%v): run: go test ./cmd/ebb -run TestSchemas -update-schemas", schemaFile(kind), err)
		}
	}
}

// versionOf is the version of a kind of documents.
func versionOf(kind string) int {
	if strings.HasPrefix(kind, "list") {
		return listVersion
	}
	return documentVersion
}

// adjust lets a later release add fields, and makes timestamps the strings that they are.
func adjust(schema *jsonschema.Schema) {
	if schema == nil {
		return
	}
	schema.AdditionalProperties = nil
	if timestamp := schema.Properties["timestamp"]; timestamp != nil {
		*timestamp = jsonschema.Schema{Type: "string", Pattern: "^[0-9]+$", Description: "nanoseconds since 1970"}
	}
	for _, property := range schema.Properties {
		adjust(property)
	}
	adjust(schema.Items)
}

// validate checks a document against the committed schema of its kind. The validator is another one than the
// generator of the schemas, so that a mistake which both would make can't hide.
func validate(document []byte) error {
	value, err := validator.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	fields, _ := value.(map[string]any)
	kind, _ := fields["kind"].(string)
	schema, err := validator.NewCompiler().Compile(filepath.Join(schemaDir, strings.ReplaceAll(kind, " ", "-")+".json"))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// schemaDir is where the schemas are; scripts run elsewhere.
var schemaDir = func() string {
	dir, err := filepath.Abs(filepath.Join("..", "..", "docs", "schema"))
	if err != nil {
		panic(err)
	}
	return dir
}()

// schema FILE... checks what commands printed against the committed schemas: documents, one after
// the other.
func cmdSchema(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: schema FILE...")
	}
	for _, arg := range args {
		decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(arg)))
		n := 0
		for ; decoder.More(); n++ {
			var document json.RawMessage
			ts.Check(decoder.Decode(&document))
			if err := validate(document); err != nil {
				ts.Fatalf("%s: %v:\n%s", arg, err, document)
			}
		}
		if n == 0 {
			ts.Fatalf("%s: there is no document", arg)
		}
	}
}

// TestSchemaRefuses makes sure that the schemas are not satisfied with everything.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		`{}`, `{"version": 1, "kind": "run"}`, `{"version": 2, "kind": "list", "executions": []}`, `{"version": 1, "kind": "list", "id": "1-a", "run_uuid": "a", "timestamp": "1", "changed": "2026-01-01T00:00:00Z", "location": "", "files": []}`, `{"version": 1, "kind": "results", "interrupted": false, "results": [{}]}`,
		`{"version": 2, "kind": "list", "id": "1-a", "run_uuid": "a", "timestamp": 1, "changed": "2026-01-01T00:00:00Z", "location": "", "files": []}`,
	} {
		if err := validate([]byte(document)); err == nil {
			t.Errorf("%s fits its schema", document)
		}
	}
}

// exampleRun is a run of three scenarios: one passed, one failed and was undone, one is not restored.
func exampleRun() *runDocument {
	began := time.Date(2026, 11, 27, 18, 0, 0, 123456789, time.UTC)
	scenario := func(name string, err error, outcome runner.Outcome) runner.ScenarioResult {
		return runner.ScenarioResult{
			Scenario: runner.ScenarioFile{Type: "hog_scenarios", Path: name, From: "config.yaml:5"}, Err: err, Began: began, Took: 1500 * time.Millisecond,
			Results: []runner.Result{{File: versions.File{Location: "/v/" + name + ".star"}, Outcome: outcome}},
			Effects: []builtins.Effect{{State: builtins.InForce, Hit: []string{"pod \x1b[1m<a>"}, From: began, Until: began.Add(time.Second)}},
		}
	}
	ran := &ranRun{uuid: "run-1", report: &runner.RunReport{Scenarios: []runner.ScenarioResult{
		scenario("a.yml", nil, runner.Restored), scenario("b.yml", errors.New("no \x00 \"node\" & <more>"), runner.Restored), scenario("c.yml", nil, runner.Failed),
	}}}
	return ran.document("config.yaml", began, outcomeError(exitPending))
}

// A run's document has what a pipeline decides by, and fits its schema.
func TestRunDocument(t *testing.T) {
	t.Parallel()
	d := exampleRun()
	var out bytes.Buffer
	if err := writeJSON(&out, d); err != nil {
		t.Fatal(err)
	}
	if err := validate(out.Bytes()); err != nil {
		t.Errorf("%v:\n%s", err, &out)
	}
	for i, want := range []string{scenarioPassed, scenarioFailed, scenarioNotRestored} {
		if got := d.Scenarios[i].Outcome; got != want {
			t.Errorf("scenario %d: got %q, want %q", i, got, want)
		}
	}
	if s := d.Scenarios[0]; d.ExitCode != exitPending || d.Error != nil || s.Began != "2026-11-27T18:00:00.123456789Z" || s.Ended != "2026-11-27T18:00:01.623456789Z" || s.Effects[0].From != s.Began {
		t.Errorf("got %+v", d)
	}
	early := (&ranRun{}).document("config.yaml", time.Now(), &usageError{err: errors.New("no such key")})
	out.Reset()
	if err := errors.Join(writeJSON(&out, early), validate(out.Bytes())); err != nil || early.ExitCode != exitUsage || early.Error == nil {
		t.Errorf("a run that did not begin: %v:\n%s", err, &out)
	}
}

// JUnit's XML can be read whatever the texts hold, and counts what it has.
func TestJUnit(t *testing.T) {
	t.Parallel()
	read := func(d *runDocument, description string) junitSuites {
		t.Helper()
		text, err := junitOf(d, description, "4.20")
		if err != nil {
			t.Fatal(err)
		}
		var suites junitSuites
		if err := xml.Unmarshal(text, &suites); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		return suites
	}
	all := read(exampleRun(), "")
	if cases := all.Suite.Cases; all.Tests != 3 || all.Failures != 1 || all.Errors != 1 || len(cases) != 3 ||
		cases[0].Failure != nil || cases[0].Error != nil || cases[1].Failure == nil || cases[2].Error == nil || !strings.Contains(cases[1].Failure.Message, `"node" & <more>`) {
		t.Errorf("got %+v", all)
	}
	one := read(exampleRun(), "[sig-etcd] it survives")
	if cases := one.Suite.Cases; one.Tests != 1 || one.Errors != 1 || len(cases) != 1 || cases[0].Name != "[sig-etcd] it survives" || !strings.Contains(cases[0].Error.Message, "c.yml: not restored") {
		t.Errorf("got %+v", one)
	}
	early := read((&ranRun{}).document("config.yaml", time.Now(), &usageError{err: errors.New("no such key")}), "")
	if cases := early.Suite.Cases; early.Errors != 1 || len(cases) != 1 || cases[0].Error.Message != "no such key" {
		t.Errorf("got %+v", early)
	}
}
