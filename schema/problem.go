package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in a file.
type Problem struct {
	File    string
	Line    int    // from 1; 0 when the whole file is meant
	Key     string // dotted, with list indices: "plan[0].resource"; empty when no key is meant
	Message string
	Unknown bool // the key is not declared: lenient callers warn
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		fmt.Fprintf(&b, "key %q: ", p.Key)
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all mistakes of a file, by line. An empty one is no error: return it through
// [Problems.Err].
type Problems []Problem

// Error is one line a problem, of the first hundred.
func (p Problems) Error() string {
	const most = 100
	var lines []string
	for i := range p {
		if i == most {
			lines = append(lines, fmt.Sprintf("%s: and %d more", p[i].File, len(p)-most))
			break
		}
		lines = append(lines, p[i].String())
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there are no problems.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Sort puts problems in the order of the lines, for who gathered them from several checks.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}

// show prints a value for an error, at a length that fits a line.
func show(v any) string {
	const most = 60
	s, ok := v.(string)
	if !ok {
		return fmt.Sprint(v)
	}
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// list prints names for an error.
func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ")
}
