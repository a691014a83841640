package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// Limits of a file. They are far above what a scenario needs and far below what hurts: 100 000
// nodes are read in well under a second.
const (
	MaxSize  = 1 << 20 // bytes
	maxNodes = 100_000 // with every alias expanded
	maxDepth = 100
)

// readLimit is how long a FIFO's writer may take: a program in <(…) is a writer too.
var readLimit = 10 * time.Second

// ReadFile reads a file of at most [MaxSize] bytes. Its errors name the file.
func ReadFile(file string) (data []byte, err error) {
	// A FIFO that nobody writes to must not hang us: it is read as empty. One whose writer says
	// nothing has a deadline.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.SetReadDeadline(time.Now().Add(readLimit)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return nil, err
	}
	// One byte more than allowed, so that Parse sees that it is too much.
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// Parse returns the root of a file's only document, which is safe to walk: no alias leads back to
// itself, and depth and size, with all aliases expanded, are bounded. The name is for errors, which
// are [Problems].
func Parse(file string, data []byte) (*yaml.Node, error) {
	whole := func(line int, format string, args ...any) error {
		return Problems{{File: file, Line: line, Message: fmt.Sprintf(format, args...)}}
	}
	if len(data) > MaxSize {
		return nil, whole(0, "larger than %d KiB", MaxSize>>10)
	}
	// Checked before anything else, because the YAML library would also read UTF-16 and would name
	// no line.
	if i := invalid(data); i >= 0 {
		return nil, whole(1+bytes.Count(data[:i], []byte("\n")), "not UTF-8 text: got the byte 0x%02x", data[i])
	}
	var doc, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(anyVersion(data)))
	if err := decode(dec, &doc); errors.Is(err, io.EOF) {
		return nil, whole(0, "empty")
	} else if err != nil {
		line, text := syntax(data, err)
		return nil, whole(line, "%s", text)
	}
	switch err := decode(dec, &second); {
	case err == nil:
		return nil, whole(second.Line, "a second document starts here; want one a file")
	case !errors.Is(err, io.EOF):
		line, text := syntax(data, err)
		return nil, whole(line, "%s", text)
	}
	if len(doc.Content) != 1 {
		return nil, whole(0, "empty")
	}
	root := doc.Content[0]
	left := maxNodes
	if err := bounded(root, maxDepth, &left); err != nil {
		return nil, whole(err.line, "%s", err.text)
	}
	return root, nil
}

// anyVersion has a file be of the version that the library knows, since it takes no other, and reads
// them all alike. The directive comes before everything but comments.
func anyVersion(data []byte) []byte {
	const directive, known = "%YAML 1.", "%YAML 1.1"
	for start := 0; start < len(data); {
		line, _, _ := bytes.Cut(data[start:], []byte("\n"))
		text := bytes.TrimPrefix(line, []byte("\ufeff"))
		switch {
		case bytes.HasPrefix(text, []byte(directive)):
			at := start + len(line) - len(text)
			rest := bytes.TrimLeft(text[len(directive):], "0123456789")
			return slices.Concat(data[:at], []byte(known), rest, data[start+len(line):])
		case len(bytes.TrimSpace(text)) > 0 && text[0] != '#' && text[0] != '%':
			return data
		}
		start += len(line) + 1
	}
	return data
}

// decode keeps a panic of the library, which its handling of comments has had before, from ending
// the process: a run in that process may have something to undo.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(n)
}

// invalid returns where data stops being UTF-8 text, or -1.
func invalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == 0 || (r == utf8.RuneError && n <= 1) {
			return i
		}
		i += n
	}
	return -1
}

var yamlLine = lazyregexp.New(`^line (\d+): `)

// syntax takes the line out of an error of the YAML library. Its words for a tab in the indentation
// name neither the tab nor, always, the line.
func syntax(data []byte, err error) (int, string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	for i, l := range strings.Split(string(data), "\n") {
		// The library may name the line before.
		if indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]; strings.Contains(indent, "\t") && i+1 >= line {
			return i + 1, "a tab in the indentation; want spaces"
		} else if i > line {
			break
		}
	}
	return line, text
}

type boundError struct {
	line int
	text string
}

// bounded walks what any reader of the tree may walk.
func bounded(n *yaml.Node, depth int, left *int) *boundError {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch *left--; {
	case *left < 0:
		return &boundError{n.Line, fmt.Sprintf("more than %d values, with aliases expanded", maxNodes)}
	case depth == 0:
		// An alias within its own anchor ends here too.
		return &boundError{n.Line, fmt.Sprintf("nested more than %d deep, with aliases expanded", maxDepth)}
	}
	for _, c := range n.Content {
		if err := bounded(c, depth-1, left); err != nil {
			return err
		}
	}
	return nil
}
