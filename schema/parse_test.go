package schema_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/schema"
)

func TestParseRefuses(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i <= 'k'; i++ {
		bomb += string(i) + ": &" + string(i) + " [" + strings.Repeat("*"+string(i-1)+", ", 10) + "]\n"
	}
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "", "f.yml: empty"},
		{"comments only", "# a\n", "f.yml: empty"},
		{"too large", "a: " + strings.Repeat("x", schema.MaxSize), "f.yml: larger than 1024 KiB"},
		{"latin 1", "a: b\nc: caf\xe9\n", "f.yml:2: not UTF-8 text: got the byte 0xe9"},
		{"utf-16", "\xff\xfea\x00", "f.yml:1: not UTF-8 text: got the byte 0xff"},
		{"zero bytes", "a: b\x00", "f.yml:1: not UTF-8 text: got the byte 0x00"},
		{"a tab", "a:\n  b: 1\n\tc: 2\n", "f.yml:3: a tab in the indentation; want spaces"},
		{"a tab first", "a:\n\tb: 1\n", "f.yml:2: a tab in the indentation; want spaces"},
		{"two documents", "a: 1\n---\nb: 2\n", "f.yml:2: a second document starts here; want one a file"},
		{"unknown anchor", "a: *b", "f.yml: unknown anchor 'b' referenced"},
		{"cut in a string", "a: \"b\nc: d\n", "f.yml:3: found unexpected end of stream"},
		{"unclosed list", "a: [1, 2\nb: 3\n", "f.yml:1: did not find expected ',' or ']'"},
		{"alias bomb", bomb, "f.yml:1: more than 100000 values, with aliases expanded"},
		{"alias in its own anchor", "a: &a\n  b: *a", "f.yml:2: nested more than 100 deep, with aliases expanded"},
		{"merge in its own anchor", "a: &a\n  <<: *a", "f.yml:2: nested more than 100 deep, with aliases expanded"},
		{"deep", strings.Repeat("[", 101) + strings.Repeat("]", 101), "f.yml:1: nested more than 100 deep, with aliases expanded"},
		{"very deep", strings.Repeat("[", 1<<20), "f.yml: exceeded max depth of 10000"},
		{"very deep blocks", strings.Repeat("- ", 1<<19), "f.yml: exceeded max depth of 10000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := schema.Parse("f.yml", []byte(test.in))
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	for _, in := range []string{
		"\xef\xbb\xbfa: 1", // a byte order mark
		"a: 1\r\nb: 2\r\n",
		"---\na: 1\n",
		"---\na: 1\n...\n",
		"%YAML 1.1\n---\na: 1\n",
		"\xef\xbb\xbf# of a newer version\r\n\r\n%YAML 1.2\r\n---\r\na: 1\r\n",
		"%TAG ! tag:a,1:\n%YAML 1.3\n---\na: |\n %YAML 1.2\n",
		"a: \"\t\"\n",
		"{a: 1,\n\tb: 2}", // YAML allows this tab
		strings.Repeat("[", 99) + strings.Repeat("]", 99),
	} {
		if _, err := schema.Parse("f.yml", []byte(in)); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yml")
	if _, err := schema.ReadFile(file); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want one that names the file", err)
	}
	if err := os.WriteFile(file, make([]byte, 3*schema.MaxSize), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := schema.ReadFile(file)
	if err != nil || len(data) != schema.MaxSize+1 {
		t.Errorf("got %d bytes and %v, want one more than allowed", len(data), err)
	}
	if _, err := schema.ReadFile(filepath.Dir(file)); err == nil {
		t.Error("read a directory")
	}
}

func TestLookup(t *testing.T) {
	root, err := schema.Parse("f.yml", []byte("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nalias: *b\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, want string }{
		{"use.x", "1"}, {"use.y", "3"}, {"alias.y", "2"}, {"use.z", ""}, {"use.x.y", ""}, {"none.x", ""},
	} {
		got := ""
		if n := schema.Lookup(root, strings.Split(test.path, ".")...); n != nil {
			got = n.Value
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.path, got, test.want)
		}
	}
}
