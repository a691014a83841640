package engine_test

import (
	"context"
	"testing"

	"github.com/ebb-chaos/ebb/engine"
)

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"x = [1]\ndef f(): return x", "def f(", "x = '''", "x = f'a'", "while", "f(**{})", "load('a', 'b')", "\x00", "\xff", "x = (((((", "def f(a = 1, *b, **c): pass",
		"x = {1: [i for i in range(9)]}", "x: int = 1", "print 'a'", "é = 1",
	} {
		f.Add([]byte(seed))
	}
	e := engine.New(engine.Options{
		Limits: engine.Limits{Steps: 10_000, SourceBytes: 4096},
		Print:  func(context.Context, string) {},
	})
	f.Fuzz(func(t *testing.T, src []byte) {
		checked := e.Check("x.star", src, engine.Contract{Entries: []string{"f"}})
		m, err := e.Load(context.Background(), "x.star", src)
		if err != nil {
			x, ok := err.(*engine.Error)
			if !ok {
				t.Fatalf("got %T: %v", err, err)
			}
			x.Detail()
			return
		}
		for _, d := range checked {
			if !d.Warning {
				t.Fatalf("Check has an error that Load has not: %s", d.Detail())
			}
		}
		// Whatever can be extracted can be loaded.
		for name, value := range m.Globals() {
			src, err := e.Extract(m, "# header", []engine.Export{{Name: "export_" + name, Value: value}})
			if err != nil {
				if _, ok := err.(*engine.Error); !ok {
					t.Fatalf("got %T: %v", err, err)
				}
				continue
			}
			if _, err := e.Load(context.Background(), "extracted", src); err != nil {
				t.Fatalf("%s\n%s", detail(err), src)
			}
		}
	})
}
