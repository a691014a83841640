package console_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/ebb-chaos/ebb/internal/console"
)

func FuzzJSON(f *testing.F) {
	f.Add("a\x1b]0;title\x07\u202e\u009b2J\x7f\u2028\U000e0001\xff naïve 日本 \\u202e")
	f.Add("plain")
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
		want := strings.ToValidUTF8(s, "\ufffd")
		if len(back) != 1 || !strings.Contains(strings.ReplaceAll(back[want], "\ufffd", ""), strings.ReplaceAll(want, "\ufffd", "")) {
			t.Fatalf("%q: came back as %q", s, back)
		}
	})
}
