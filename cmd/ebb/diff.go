package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/console"
)

// diffContext is how many unchanged lines a diff shows around a changed one.
const diffContext = 2

// diff returns how a planned change alters its object, as the lines of a unified diff without its
// header. Where a whole object is created or deleted, the change itself says so.
func diff(c builtins.Change) ([]string, error) {
	if c.Before == nil || c.After == nil {
		return nil, nil
	}
	before, err := desired(c.Before)
	if err != nil {
		return nil, err
	}
	after, err := desired(c.After)
	if err != nil || before == after {
		return nil, err
	}
	lines, err := textDiff(before, after)
	if err != nil {
		return nil, fmt.Errorf("diff of %s: %w", c.Object, err)
	}
	return lines, nil
}

// textDiff returns the lines of a unified diff without its header.
func textDiff(before, after string) ([]string, error) {
	unified, err := udiff.ToUnified("", "", before, udiff.Strings(before, after), diffContext)
	if err != nil || unified == "" {
		return nil, err
	}
	var lines []string
	for i, line := range strings.Split(strings.TrimRight(unified, "\n"), "\n") {
		if i < 2 || strings.HasPrefix(line, "@@") { // --- and +++
			continue
		}
		lines = append(lines, console.Clean(line))
	}
	return lines, nil
}

// desired returns an object as YAML, without the fields that the API server fills in.
func desired(encoded json.RawMessage) (string, error) {
	var object map[string]any
	if err := utiljson.Unmarshal(encoded, &object); err != nil { // whole numbers stay whole
		return "", fmt.Errorf("an object is no JSON: %w", err)
	}
	delete(object, "status")
	if meta, ok := object["metadata"].(map[string]any); ok {
		for _, key := range []string{"resourceVersion", "generation", "managedFields", "creationTimestamp", "uid"} {
			delete(meta, key)
		}
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		return "", fmt.Errorf("an object has no YAML form: %w", err)
	}
	return string(text), nil
}
