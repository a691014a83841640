package engine_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/engine"
	"pgregory.net/rapid"
)

// found are the runtime errors that the audit has to foresee in functions without branches.
var found = regexp.MustCompile(`frozen|called recursively|referenced before assignment`)

// TestAuditForesees writes files of functions without branches, and calls each function. The audit
// reports what fails, and only that. It is silent about functions that may be called while the file
// loads, and functions that call each other are a warning.
func TestAuditForesees(t *testing.T) {
	e := engine.New(engine.Options{})
	rapid.Check(t, func(t *rapid.T) {
		src, functions := anyProgram(t)
		m, err := e.Load(context.Background(), "x.star", []byte(src))
		if err != nil {
			// Changes of what a list is iterated over, and the like.
			t.Skip(err)
		}
		reported := map[int32]bool{}
		var audit *engine.Error
		if errors.As(e.CheckModule(m, engine.Contract{}), &audit) {
			for _, x := range audit.Each() {
				reported[x.Pos.Line] = true
			}
		}
		for _, f := range functions {
			_, err := e.Call(context.Background(), m.Get(f.name))
			var failed *engine.Error
			if errors.As(err, &failed) && !found.MatchString(failed.Msg) {
				continue // it ended before what was reported
			}
			if failed != nil && !reported[failed.Pos.Line] && !strings.Contains(src, "EARLY") && !isCircle(failed, functions) {
				t.Fatalf("%s fails at %s: %s; not reported in\n%s", f.name, failed.Pos, failed.Msg, src)
			}
			for line := f.first; line <= f.last && failed == nil; line++ {
				if reported[line] {
					t.Fatalf("line %d is reported, and %s succeeds:\n%s", line, f.name, src)
				}
			}
		}
	})
}

// isCircle reports whether a function was called again by another one.
func isCircle(x *engine.Error, functions []written) bool {
	for _, f := range functions {
		if f.first <= x.Pos.Line && x.Pos.Line <= f.last {
			return strings.Contains(x.Msg, "called recursively") && !strings.Contains(x.Msg, "function "+f.name+" ")
		}
	}
	return false
}

// written is a function of a generated file, with its lines.
type written struct {
	name        string
	first, last int32
}

// anyProgram writes a file. The lines of a function run one after the other. Some functions are
// called while the file loads.
func anyProgram(t *rapid.T) (string, []written) {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add(`LIST = ["a", ["b"], "c"]`)
	add(`DICT = {"k": ["v"], "n": {"m": [1]}, "i": 1}`)
	add(`EMPTY = {}`)
	add(`SET = set(["a", "b"])`)
	add(`COUNT = 1`)
	add(`NAME = LIST`)
	n := rapid.IntRange(1, 6).Draw(t, "functions")
	var functions []written
	for i := range n {
		f := written{name: fmt.Sprintf("f%d", i), first: int32(len(lines) + 1)}
		add("def %s(*args):", f.name)
		add(`    mine, copied, named = [1, 2], dict(DICT), %s`, rapid.SampledFrom([]string{"LIST", "NAME", "DICT", "[]"}).Draw(t, "named"))
		for range rapid.IntRange(0, 3).Draw(t, "statements") {
			add("    %s", strings.ReplaceAll(rapid.SampledFrom(statements).Draw(t, "statement"), "f?", fmt.Sprintf("f%d", rapid.IntRange(0, n-1).Draw(t, "callee"))))
		}
		add("    return [mine, copied, named]")
		f.last = int32(len(lines))
		functions = append(functions, f)
	}
	if rapid.Bool().Draw(t, "early") {
		add("EARLY = %s", rapid.SampledFrom([]string{"f0()", "[f0]", "[g() for g in [f0]]", "sorted([1], key = f0)", "attempt(f0)"}).Draw(t, "call"))
	}
	return strings.Join(lines, "\n") + "\n", functions
}

var statements = []string{
	`LIST.append(1)`, `LIST[0] = 1`, `LIST.pop()`, `LIST.extend([])`, `LIST.insert(0, 1)`, `LIST.remove("a")`, `(LIST).clear()`,
	`DICT["k"] = 1`, `DICT["i"] += 1`, `DICT.pop("k")`, `DICT.popitem()`, `DICT.update({"x": 1})`, `DICT.update(x = 1)`, `DICT.update({})`,
	`DICT.setdefault("k", 1)`, `DICT["k"].append(1)`, `DICT["n"]["m"].append(1)`, `DICT["n"]["m"][0] = 1`, `EMPTY.setdefault("k", 1)`,
	`SET.add("c")`, `SET.discard("z")`, `SET.remove("a")`, `NAME.append(1)`, `named2 = LIST`, `other = DICT`,
	`mine.append(1)`, `mine[0] = 3`, `copied["z"] = 1`, `copied.pop("i", None)`, `mine += [1]`, `LIST_2 = list(LIST)`,
	`COUNT += 1`, `total += 1`,
	`f?()`, `attempt(f?)`, `parallel(lambda i: i, [1])`, `later = lambda: f?()`, `x = [i for i in LIST]`,
}
