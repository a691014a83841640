package htmlreport_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/htmlreport"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// sample has one of everything.
func sample() htmlreport.Report {
	restored := htmlreport.File{Name: "hog_1_aaaaaaaa.star", Location: "/v/1-a/hog_1_aaaaaaaa.star", Outcome: "restored", State: htmlreport.Good, Took: 4 * time.Second, Verified: true}
	return htmlreport.Report{
		Title: "Run", State: htmlreport.Bad, Verdict: "1 of 2 scenarios failed, and 1 version file is not restored",
		Facts: []htmlreport.Fact{{"run", "168dce4c-fdb4-4e8c-aa5b-7f919777801b"}, {"configuration", "config/config.yaml"}},
		Began: at(0), Ended: at(100),
		Scenarios: []htmlreport.Scenario{
			{
				Name: "scenarios/cpu-hog.yml", Type: "hog_scenarios", Outcome: "passed", State: htmlreport.Good, Began: at(0), Ended: at(45),
				Effects: []htmlreport.Effect{{Name: "in force", State: htmlreport.Good, Hit: []string{`Pod "cpu-hog-a" on node "worker-1"`, `Pod "cpu-hog-b" on node "worker-2"`}, From: at(3), Until: at(40)}},
				Undo:    []htmlreport.File{restored},
			},
			{
				Name: "scenarios/<script>alert(1)</script>.yml", Type: "service_hijacking_scenarios", Outcome: "not restored", State: htmlreport.Bad,
				Error: "the chaos ended early, after 12 s of 30", Began: at(50), Ended: at(100),
				Effects: []htmlreport.Effect{{Name: "ended early", State: htmlreport.Bad, Hit: []string{"service web"}, From: at(54), Until: at(66), Why: "somebody put the selector back"}},
				Undo: []htmlreport.File{{
					Name: "hijack_2_bbbbbbbb.star", Location: "/v/2-b/hijack_2_bbbbbbbb.star", Outcome: "conflict", State: htmlreport.Bad, Conflict: true, Took: 2 * time.Second,
					Reason: "service web was changed by somebody else: its selector is {app: other}", Hints: []string{"ebb execute-rollback --force-conflict /v/2-b/hijack_2_bbbbbbbb.star"},
				}},
			},
		},
		Log: []string{"2026-11-27 12:00:00,000 [INFO] Running scenario", "2026-11-27 12:01:30,000 [ERROR] <b>not restored</b>"},
	}
}

func write(t *testing.T, r htmlreport.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := htmlreport.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	page := write(t, sample())
	for _, want := range []string{
		"<h1>1 of 2 scenarios failed, and 1 version file is not restored</h1>",
		"<b class=\"bad\">1 of 2</b><span>scenarios passed</span>", "<b class=\"\">3</b><span>objects hit</span>",
		"in force: 37s, from ", "ended, ", "verified, ", "not restored, ",
		"Conflicts: a person has to decide", "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;b&gt;not restored&lt;/b&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, bad := range []string{"<script", "ZgotmplZ", "NaN"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if outside := regexp.MustCompile(`(?i)(src|href)\s*=\s*"[^#]|url\(|@import`).FindString(page); outside != "" {
		t.Errorf("the page needs something else: %q", outside)
	}
}

// Nothing of a picture is outside of it, whatever the clocks said.
func TestTimelineFits(t *testing.T) {
	r := sample()
	r.Scenarios[0].Began, r.Scenarios[0].Ended = at(-1000), at(5000)
	r.Scenarios[1].Undo[0].Took = time.Hour
	r.Files = []htmlreport.File{{Name: "f", Ended: at(-5), Took: time.Hour}}
	for _, instant := range []bool{false, true} {
		if instant {
			r.Ended = r.Began
		}
		for _, m := range regexp.MustCompile(`<rect class="[ \w]+" x="([-0-9.e]+)" y="[0-9.]+" width="([-0-9.e]+)"`).FindAllStringSubmatch(write(t, r), -1) {
			var x, w float64
			if _, err := fmt.Sscan(m[1]+" "+m[2], &x, &w); err != nil {
				t.Fatal(err)
			}
			if x < 0 || w <= 0 || x+w > 960.01 {
				t.Errorf("a bar from %g on has the width %g", x, w)
			}
		}
	}
}

// A replay of a hundred thousand files makes a page that a browser can show.
func TestLongReplay(t *testing.T) {
	r := htmlreport.Report{Title: "Replay", Began: at(0), Ended: at(3600)}
	for i := range 100_000 {
		f := htmlreport.File{Name: fmt.Sprintf("f%d.star", i), Outcome: "restored", State: htmlreport.Good, Verified: true, Ended: at(i / 30), Took: time.Second}
		if i == 99_999 {
			f.Outcome, f.State, f.Reason = "failed", htmlreport.Bad, "the last one"
		}
		r.Files = append(r.Files, f)
	}
	page := write(t, r)
	if len(page) > 1<<20 || !strings.Contains(page, "the last one") || !strings.Contains(page, "99500 more are in report.json") {
		t.Errorf("got a page of %d bytes, want less than 1 MiB, with the file that failed and the number of those left out", len(page))
	}
}
