package versions

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSeal(t *testing.T) {
	got := string(Seal([]byte("x = 1")))
	if want := "x = 1\n# sha256: " + Digest([]byte("x = 1\n")) + "\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, test := range []struct {
		name, content string
		want          SealState
	}{
		{"as written", got, Written},
		{"a byte changed", strings.Replace(got, "1", "2", 1), Edited},
		{"a line appended", got + "y = 2\n", Edited},
		{"the last newline gone", strings.TrimSuffix(got, "\n"), Edited},
		{"a line prepended", "#\n" + got, Edited},
		{"sealed twice over", got + got, Edited},
		{"by hand", "x = 1\n", Unsealed},
		{"nothing", "", Unsealed},
		{"a short sum", "x = 1\n# sha256: 0123\n", Unsealed},
		{"no line of its own", "x = 1 " + got[6:], Unsealed},
	} {
		if got := Integrity([]byte(test.content)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func checkSeal(t interface{ Fatalf(string, ...any) }, content []byte) {
	before := bytes.Clone(content)
	sealed := Seal(content)
	if !bytes.Equal(before, content) {
		t.Fatalf("%q was changed", before)
	}
	if got := Integrity(sealed); got != Written {
		t.Fatalf("%q: got %q, want %q", sealed, got, Written)
	}
	if again := Seal(sealed); !bytes.Equal(again, sealed) {
		t.Fatalf("%q: sealed again as %q", sealed, again)
	}
}

func TestSealProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOf(rapid.Byte()).Draw(t, "content")
		checkSeal(t, content)
		sealed := Seal(content)
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		sealed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if Integrity(sealed) == Written {
			t.Fatalf("%q: a flipped byte %d was not noticed", sealed, at)
		}
	})
}

func FuzzSeal(f *testing.F) {
	f.Add([]byte("x = 1"), uint(3), byte(1))
	f.Add(Seal([]byte("x = 1")), uint(70), byte(0x20)) // a letter of the sum in upper case
	f.Add([]byte("# sha256: \n"), uint(0), byte(0xff))
	f.Fuzz(func(t *testing.T, content []byte, at uint, flip byte) {
		checkSeal(t, content)
		sealed := Seal(content)
		i := int(at % uint(len(sealed)))
		sealed[i] ^= flip
		if flip != 0 && Integrity(sealed) == Written {
			t.Errorf("%q: a flipped byte %d was not noticed", sealed, i)
		}
		sealed[i] ^= flip
		if shorter := append(bytes.Clone(sealed[:i]), sealed[i+1:]...); Integrity(shorter) == Written {
			t.Errorf("%q: that byte %d is gone was not noticed", sealed, i)
		}
		if longer := append(append(bytes.Clone(sealed[:i]), flip), sealed[i:]...); Integrity(longer) == Written {
			t.Errorf("%q: a byte added at %d was not noticed", longer, i)
		}
	})
}
