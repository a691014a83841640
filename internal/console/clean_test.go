package console_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/internal/console"
)

func TestClean(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"pod memory-hog-ngdjp, 'quoted' \"twice\" \\ naïve 日本", "pod memory-hog-ngdjp, 'quoted' \"twice\" \\ naïve 日本"},
		{"a\tb", "a\tb"},
		{"a\x1b[2Jb", `a\x1b[2Jb`},
		{"a\nb\rc", `a\nb\rc`},
		{"a\x00\x07\x7f", `a\x00\a\x7f`},
		{"a\u009b2Jb", `a\u009b2Jb`},     // the one-byte escape of old terminals
		{"gpj\u202eexe", `gpj\u202eexe`}, // right to left
		{"zero\u200bwidth", `zero\u200bwidth`},
		{"\xff\xfe", `\xff\xfe`},
	} {
		if got := console.Clean(test.in); got != test.want {
			t.Errorf("%q: got %s, want %s", test.in, got, test.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b]0;title\x07\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := console.Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q: got invalid UTF-8 %q", s, got)
		}
		for _, r := range got {
			if r != '\t' && !unicode.IsPrint(r) {
				t.Fatalf("%q: got %q, which holds %q", s, got, r)
			}
		}
		if console.Clean(got) != got {
			t.Fatalf("%q: cleaned twice is not cleaned once", s)
		}
	})
}

func TestCleanProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if printable := strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return -1
		}, s); console.Clean(printable) != printable {
			t.Fatalf("changed %q, where nothing is hidden", printable)
		}
	})
}
