package main

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
)

// sarifSchema is that of the standard, and not of ebb's making.
var sarifSchema = sync.OnceValues(func() (*validator.Schema, error) {
	compiler := validator.NewCompiler()
	compiler.AssertFormat() // a file's name has to be a URI
	return compiler.Compile(filepath.Join(schemaDir, "..", "..", "testdata", "sarif", "sarif-schema-2.1.0.json"))
})

func validateSARIF(text string) error {
	value, err := validator.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	schema, err := sarifSchema()
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// sarif FILE checks what a command printed against the schema of SARIF 2.1.0.
func cmdSARIF(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sarif FILE")
	}
	ts.Check(validateSARIF(ts.ReadFile(args[0])))
}

// TestSARIFRefuses makes sure that the schema is not satisfied with everything.
func TestSARIFRefuses(t *testing.T) {
	t.Parallel()
	const before, after = `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "ebb"}}, "results": [`, `]}]}`
	if err := validateSARIF(before + `{"level": "error", "message": {"text": "a"}}` + after); err != nil {
		t.Errorf("a log that is right: %v", err)
	}
	for _, log := range []string{
		`{}`, `{"version": "2.0.0", "runs": []}`, `{"version": "2.1.0", "runs": [{"results": []}]}`,
		before + `{"level": "error"}` + after,
		before + `{"level": "fatal", "message": {"text": "a"}}` + after,
		before + `{"message": {"text": "a"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "100%.star"}}}]}` + after,
		before + `{"message": {"text": "a"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a"}, "region": {"startLine": 0}}}]}` + after,
	} {
		if validateSARIF(log) == nil {
			t.Errorf("%s fits the schema", log)
		}
	}
}
