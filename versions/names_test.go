package versions

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFileNameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := fileName{
			scenarioType: rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,127}`).Draw(t, "type"),
			timestamp:    rapid.Int64Range(1, maxTimestamp-1).Draw(t, "timestamp"),
			suffix:       rapid.StringMatching(`[a-z]{8}`).Draw(t, "suffix"),
			kind:         rapid.SampledFrom([]Kind{KindVersion, KindForeign}).Draw(t, "kind"),
			state:        rapid.SampledFrom([]State{Pending, Executed, Imported}).Draw(t, "state"),
		}
		if want.state == Imported {
			want.kind = KindForeign
		}
		got, err := parseFileName(want.String())
		if err != nil || got != want {
			t.Fatalf("%q: got %+v, %v, want %+v", want, got, err, want)
		}
		if len(want.String()) > 255 {
			t.Fatalf("%q: got %d bytes, want a name that file systems take", want, len(want.String()))
		}
	})
}

func TestExecutionIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uuid := rapid.StringMatching(`[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?`).Draw(t, "uuid")
		timestamp := rapid.Int64Range(1, maxTimestamp-1).Draw(t, "timestamp")
		id, err := executionID(timestamp, uuid)
		if err != nil {
			t.Fatal(err)
		}
		gotTimestamp, gotUUID, err := parseExecutionID(id)
		if err != nil || gotTimestamp != timestamp || gotUUID != uuid {
			t.Fatalf("%q: got %d, %q, %v", id, gotTimestamp, gotUUID, err)
		}
	})
}

func TestParseFileName(t *testing.T) {
	for _, test := range []struct {
		name string
		want fileName
	}{
		{"network_chaos_ng_scenarios_1755496142436906000_btmcxrri.star", fileName{"network_chaos_ng_scenarios", 1755496142436906000, "btmcxrri", KindVersion, Pending}},
		{"hog_scenarios_1755523259250697000_nhfdipkz.py", fileName{"hog_scenarios", 1755523259250697000, "nhfdipkz", KindForeign, Pending}},
		{"hog_scenarios_1755523259250697000_nhfdipkz.py.executed", fileName{"hog_scenarios", 1755523259250697000, "nhfdipkz", KindForeign, Executed}},
		{"hog_scenarios_1755523259250697000_nhfdipkz.py.imported", fileName{"hog_scenarios", 1755523259250697000, "nhfdipkz", KindForeign, Imported}},
		{"a_1_2_1_abcdefgh_3_abcdefgh.star.executed", fileName{"a_1_2_1_abcdefgh", 3, "abcdefgh", KindVersion, Executed}},
	} {
		if got, err := parseFileName(test.name); err != nil || got != test.want {
			t.Errorf("%q: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
	for _, name := range []string{
		"", ".star", "_1_abcdefgh.star", "a_01_abcdefgh.star", "a_+1_abcdefgh.star", "a_-1_abcdefgh.star", "a_0_abcdefgh.star", "a_1_abcdefg.star",
		"a_1_abcdefghi.star", "a_1_ABCDEFGH.star", "a_1_abcdefgh.star.executed.executed", "a_1_abcdefgh.star.imported", "a_1_abcdefgh.py.imported.executed", "a_1_abcdefgh.py.executed.imported", "a_1_abcdefgh.executed", "a_1_abcdefgh.star~", "a_1_abcdefgh.star ",
		"a_99999999999999999999_abcdefgh.star", "a_4611686018427387904_abcdefgh.star", ".a_1_abcdefgh.star", "a/b_1_abcdefgh.star", "a\n_1_abcdefgh.star", "a_1_abcdefgh\n.star",
		"a_1_abcdefgh.star\n", ".tmp-0123456789abcdef",
	} {
		if got, err := parseFileName(name); err == nil {
			t.Errorf("%q: got %+v, want an error", name, got)
		} else if strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%q: got an error of two lines: %v", name, err)
		}
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add("network_chaos_ng_scenarios_1755496142436906000_btmcxrri.star.executed")
	f.Add("1755496143932815000-7d32bf81-2c0d-4d56-b75b-b0702b2c45f9")
	f.Fuzz(func(t *testing.T, name string) {
		if n, err := parseFileName(name); err == nil && n.String() != name {
			t.Errorf("file %q: printed again as %q", name, n)
		} else if err == nil && (isBookkeeping(name) || strings.ContainsAny(name, "/\x00")) {
			t.Errorf("file %q: accepted", name)
		}
		if timestamp, uuid, err := parseExecutionID(name); err == nil {
			if id, err := executionID(timestamp, uuid); err != nil || id != name {
				t.Errorf("execution %q: printed again as %q, %v", name, id, err)
			}
			if strings.ContainsAny(name, "/\x00") {
				t.Errorf("execution %q: accepted", name)
			}
		}
	})
}

// A clock that jumps back, or stands still, changes no order.
func TestClock(t *testing.T) {
	var c clock
	now := time.Unix(1_000_000, 0)
	first := c.after(0, now)
	if first != now.UnixNano() {
		t.Errorf("got %d, want now", first)
	}
	if got := c.after(0, now); got != first+1 {
		t.Errorf("standing still: got %d, want %d", got, first+1)
	}
	if got := c.after(0, now.Add(-time.Hour)); got != first+2 {
		t.Errorf("back: got %d, want %d", got, first+2)
	}
	if got := c.after(first+10, now); got != first+11 {
		t.Errorf("behind what exists: got %d, want %d", got, first+11)
	}
	if got, want := c.after(0, now.Add(time.Hour)), now.Add(time.Hour).UnixNano(); got != want {
		t.Errorf("forward: got %d, want %d", got, want)
	}
}
