package runner

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReliabilityNamesTests holds that the tests which docs/reliability.md names exist.
func TestReliabilityNamesTests(t *testing.T) {
	doc, err := os.ReadFile("../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var code bytes.Buffer
	scripts := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".txtar"):
			scripts[d.Name()] = true
		case strings.HasSuffix(path, "_test.go"):
			data, err := os.ReadFile(path)
			code.Write(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Benchmark)[A-Za-z0-9]+)(…?)`|`([a-z0-9_]+\\.txtar)`").FindAllStringSubmatch(string(doc), -1)
	if len(named) < 50 {
		t.Errorf("docs/reliability.md names %d tests: is this test blind?", len(named))
	}
	for _, m := range named {
		function := "func " + m[1] + "("
		if m[2] != "" { // it is the beginning of several names
			function = "func " + m[1]
		}
		if m[1] != "" && !bytes.Contains(code.Bytes(), []byte(function)) || m[3] != "" && !scripts[m[3]] {
			t.Errorf("docs/reliability.md names %s, and there is none", m[0])
		}
	}
}
