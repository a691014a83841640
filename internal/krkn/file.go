package krkn

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// Rollback is what one version file of Krkn's is to undo.
type Rollback struct {
	Callable     string // Krkn's name of the function that undoes it, one of [Callables]
	ScenarioType string // the type of the scenarios that have this function

	// Fields say what to undo: strings, int64, bools, []any and map[string]any. Which there are
	// depends on the callable alone.
	Fields map[string]any

	// Doubt says why the file may not be of Krkn, or not as Krkn wrote it. Nil means no doubt.
	Doubt error
}

const contentName = "rollback_content"

// The parts of a file that differ from one to the next.
var (
	contentLine = lazyregexp.New(`(?m)^` + contentName + `[ \t]*=`)
	defLine     = lazyregexp.New(`(?m)^def[ \t]+(\w+)[ \t]*\(`)
	topLevel    = lazyregexp.New(`(?m)^[A-Za-z_@#]`)
)

// Parse reads the content of a version file. The error says why it is not known what the file
// undoes.
func Parse(content []byte) (*Rollback, error) {
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return nil, errors.New("it is no text in UTF-8")
	}
	source, err := asPython(string(content))
	if err != nil {
		return nil, err
	}
	f, err := split(source)
	if err != nil {
		return nil, err
	}
	k, ok := callables[f.name]
	if !ok {
		return nil, fmt.Errorf("its function is %q, which is none of Krkn's callables: %s", f.name, strings.Join(Callables(), ", "))
	}
	if err := checkArguments(f.arguments); err != nil {
		return nil, err
	}
	fields := &fields{arguments: f.arguments}
	read := k.read(fields)
	if fields.err != nil {
		return nil, fmt.Errorf("%s: %w", contentName, fields.err)
	}
	r := &Rollback{Callable: f.name, ScenarioType: k.scenarioType, Fields: read, Doubt: fields.doubt}
	switch {
	case !slices.Contains(knownCode[f.name], digest(f.code)):
		r.Doubt = fmt.Errorf("its function %s is not the one of any known Krkn: it was edited, or is of a newer one", f.name)
	case !slices.Contains(knownFrames, digest(f.frame)):
		r.Doubt = fmt.Errorf("the code around its function %s is not that of any known Krkn: it was edited, or is of a newer one", f.name)
	}
	return r, nil
}

// The byte order mark that editors put before a text, and the comment in the first two lines in
// which a file says how it is encoded.
const byteOrderMark = "\uFEFF"

var (
	lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")
	encoding = lazyregexp.New(`^(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)`)
)

// asPython returns a source as Python reads it, with \n at the end of each line and without a byte
// order mark. It refuses a source that declares another encoding than UTF-8, which Python would
// read differently.
func asPython(source string) (string, error) {
	source = lineEnds.Replace(strings.TrimPrefix(source, byteOrderMark))
	if match := encoding.FindStringSubmatch(source); match != nil {
		name := strings.ReplaceAll(strings.ToLower(match[1]), "_", "-")
		if name != "utf-8" && name != "utf8" {
			return "", fmt.Errorf("its first lines say that it is encoded in %s, want UTF-8", match[1])
		}
	}
	return source, nil
}

// Callables are the names of Krkn's functions, sorted.
func Callables() []string {
	var names []string
	for name := range callables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// parts are the parts of a version file.
type parts struct {
	name, code string         // of its function
	arguments  map[string]any // of its RollbackContent(…)
	frame      string         // the rest, which is the same in each file of one Krkn
}

// split splits a file into its parts. It finds where the code begins and ends, and does not read
// it.
func split(source string) (*parts, error) {
	places := contentLine.FindAllStringIndex(source, 3)
	if len(places) != 1 {
		return nil, fmt.Errorf("it assigns %s %d times, want once", contentName, len(places))
	}
	s := &scanner{source: source, at: places[0][1]}
	for s.at < len(source) && (source[s.at] == ' ' || source[s.at] == '\t') {
		s.at++
	}
	begin := s.at
	arguments, err := s.call("RollbackContent")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", contentName, err)
	}
	end := s.at
	rest, _, _ := strings.Cut(source[end:], "\n")
	if rest, _, _ = strings.Cut(rest, "#"); strings.TrimSpace(rest) != "" {
		return nil, fmt.Errorf("%s: %w", contentName, s.failf("got %q after RollbackContent(…), want nothing", strings.TrimSpace(rest)))
	}
	defs := defLine.FindAllStringSubmatchIndex(source, 3)
	if len(defs) != 1 {
		return nil, fmt.Errorf("it defines %d functions, want one, the callable", len(defs))
	}
	f := &parts{name: source[defs[0][2]:defs[0][3]], arguments: arguments}
	from := defs[0][0]
	to := len(source)
	// A match at the end of the def line is one at the beginning of the next.
	if line := strings.IndexByte(source[from:], '\n'); line >= 0 {
		if next := topLevel.FindStringIndex(source[from+line+1:]); next != nil {
			to = from + line + 1 + next[0]
		}
	}
	if begin >= from && begin < to || begin < from {
		return nil, fmt.Errorf("%s comes before the end of %s, want it after that", contentName, f.name)
	}
	f.code = normal(source[from:to])
	f.frame = frame(source[:from], source[to:begin], source[end:], f.name)
	return f, nil
}

// frame is what is around a function and a content.
func frame(before, between, after, name string) string {
	return normal(before) + "\x00" + normal(between) + "\x00" + normal(strings.ReplaceAll(after, name+"(", "\x00("))
}

// normal removes differences that editors and templates make at the ends of a text.
func normal(text string) string { return strings.Trim(text, "\n \t") }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// checkArguments checks the arguments that the content of each callable has.
func checkArguments(arguments map[string]any) error {
	want := map[string]string{
		"namespace": "a string", "resource_identifier": "a string", "cloud_type": "a string", "instance_ids": "a tuple", "skip_kubernetes": "a bool",
	}
	for name, value := range arguments {
		expected, known := want[name]
		got := ""
		switch value.(type) {
		case nil:
			got = expected // None is the default of each
		case string:
			got = "a string"
		case bool:
			got = "a bool"
		case []any:
			got = "a tuple"
		default:
			got = "a number"
		}
		if !known {
			return fmt.Errorf("%s: it has %q, which Krkn's RollbackContent does not have", contentName, name)
		}
		if got != expected {
			return fmt.Errorf("%s: %s is %s, want %s", contentName, name, got, expected)
		}
	}
	return nil
}
