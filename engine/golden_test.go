package engine_test

import (
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ebb-chaos/ebb/engine"
	"github.com/rogpeppe/go-internal/txtar"
	"go.starlark.net/starlark"
)

var update = flag.Bool("update", false, "rewrite the golden files under testdata")

// golden runs each pair of files NAME.star and NAME.want of an archive.
func golden(t *testing.T, archive string, do func(t *testing.T, name string, src []byte) string) {
	t.Helper()
	file := filepath.Join("testdata", archive)
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, f := range a.Files {
		if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
			want[name] = string(f.Data)
		}
	}
	updated := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		name, ok := strings.CutSuffix(f.Name, ".star")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			got := do(t, f.Name, f.Data) + "\n"
			if got != want[name] && !*update {
				t.Errorf("got:\n%swant:\n%s", got, want[name])
			}
			updated.Files = append(updated.Files, f, txtar.File{Name: name + ".want", Data: []byte(got)})
		})
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrors(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{"k8s": starlark.None, "random_name": starlark.None}})
	golden(t, "errors.txtar", func(t *testing.T, name string, src []byte) string {
		m, err := e.Load(context.Background(), name, src)
		if err == nil && m.Get("f") != nil {
			_, err = e.Call(context.Background(), m.Get("f"))
		}
		if err == nil {
			t.Fatal("got no error")
		}
		return detail(err)
	})
}

func TestCheck(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{"k8s": starlark.None}})
	golden(t, "check.txtar", func(t *testing.T, name string, src []byte) string {
		var lines []string
		for _, d := range e.Check(name, src, engine.Contract{Entries: []string{"entry", "value"}}) {
			kind := "error: "
			if d.Warning {
				kind = "warning: "
			}
			lines = append(lines, kind+d.Detail())
		}
		if _, err := e.Load(context.Background(), name, src); (err == nil) != (len(lines) == 0 || strings.HasPrefix(lines[0], "warning")) {
			t.Errorf("Load and Check disagree: %v, %q", err, lines)
		}
		return strings.Join(lines, "\n")
	})
}

// One directory's worth of scripts an archive; extract.star exports f and value.
func TestExtract(t *testing.T) {
	archives, err := filepath.Glob("testdata/extract-*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(archives, err)
	}
	for _, file := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			files := fstest.MapFS{}
			for _, f := range a.Files {
				files[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			e := engine.New(engine.Options{Predeclared: predeclared()})
			got := extractScript(t, e, files)
			want, err := fs.ReadFile(files, "want")
			if err != nil && !*update {
				t.Fatal(err)
			}
			if *update {
				a.Files = append(a.Files[:len(a.Files):len(a.Files)], txtar.File{Name: "want"})
				for i, f := range a.Files {
					if f.Name == "want" {
						a.Files[i].Data, a.Files = []byte(got), a.Files[:i+1]
						break
					}
				}
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func extractScript(t *testing.T, e *engine.Engine, files fs.FS) string {
	m, err := e.LoadScript(context.Background(), files, "extract.star")
	if err != nil {
		t.Fatal(detail(err))
	}
	exports := []engine.Export{
		{Name: "rollback_content", Value: m.Get("value"), Comment: "What to restore."},
		{Name: "rollback_callable", Value: m.Get("f"), Comment: "Actual rollback callable."},
	}
	if verify := m.Get("verify"); verify != nil {
		exports = append(exports, engine.Export{Name: "verify_callable", Value: verify})
	}
	src, err := e.Extract(m, "#!/usr/bin/env -S ebb exec\n# A header.", exports)
	if err != nil {
		return detail(err) + "\n"
	}
	extracted, err := e.Load(context.Background(), "extracted", src)
	if err != nil {
		t.Fatalf("the extracted file can't be loaded: %s\n%s", detail(err), src)
	}
	// The extracted function must do what the original does.
	want, wantErr := e.Call(context.Background(), m.Get("f"), m.Get("value"))
	got, gotErr := e.Call(context.Background(), extracted.Get("rollback_callable"), extracted.Get("rollback_content"))
	if wantErr != nil || gotErr != nil {
		t.Fatalf("the calls failed: %v, %v", wantErr, gotErr)
	}
	if got.String() != want.String() {
		t.Errorf("the extracted function returned %s, want %s", got, want)
	}
	// Extracting from the extracted file changes nothing.
	again, err := e.Extract(extracted, "#!/usr/bin/env -S ebb exec\n# A header.", []engine.Export{
		{Name: "rollback_content", Value: extracted.Get("rollback_content"), Comment: "What to restore."},
		{Name: "rollback_callable", Value: extracted.Get("rollback_callable")},
	})
	if err != nil {
		t.Fatal(detail(err))
	}
	if m.Get("verify") == nil && string(again) != string(src) {
		t.Errorf("extracted again:\n%s\nwant\n%s", again, src)
	}
	return string(src)
}
