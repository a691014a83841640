package console_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"

	"github.com/ebb-chaos/ebb/internal/console"
)

func FuzzJSON(f *testing.F) {
	f.Add("a\x1b]0;title\x07\u202e\u009b2J\x7f\u2028\U000e0001\xff naïve 日本 \\u202e")
	f.Add("plain")
	f.Add("0\x97\xa5")
	f.Fuzz(func(t *testing.T, s string) {
		var out bytes.Buffer
		e := json.NewEncoder(console.JSON(&out))
		e.SetIndent("", "\t")
		if err := e.Encode(map[string]string{s: s}); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Fatalf("%q: got %q, which holds %q", s, out.String(), r)
			}
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil {
			t.Fatalf("%q: got %q: %v", s, out.String(), err)
		}
		want := string([]rune(s)) // U+FFFD for each byte that is not UTF-8, as the encoder has it
		if len(back) != 1 || back[want] != want {
			t.Fatalf("%q: came back as %q", s, back)
		}
	})
}
