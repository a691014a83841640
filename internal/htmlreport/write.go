package htmlreport

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var page string

// maxListed bounds the files, the objects and the scenarios of a list. The worst come first.
const maxListed = 500

// functions are what the page calls.
var functions = template.FuncMap{
	"duration": duration,
	"clock":    clock,
	"day":      func(t time.Time) string { return t.Local().Format("2 January 2006, 15:04:05 MST") },
	"level":    level,
}

// view is a report with the values that are computed from it.
type view struct {
	Report
	Took      time.Duration
	Timeline  timeline
	Tiles     []tile
	Conflicts []File
	Listed    []File
	More      int // files that are not listed
}

// tile is a number at the top.
type tile struct {
	Value, Name string
	State       State
}

// Write writes the page.
func Write(w io.Writer, r Report) error {
	t, err := template.New("page").Funcs(functions).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, newView(r))
}

func newView(r Report) view {
	v := view{Report: r, Took: r.Ended.Sub(r.Began), Timeline: newTimeline(r)}
	all := slices.Clone(r.Files)
	for _, s := range r.Scenarios {
		all = append(all, s.Undo...)
	}
	for _, f := range all {
		if f.Conflict {
			v.Conflicts = append(v.Conflicts, f)
		}
	}
	if len(v.Conflicts) > maxListed {
		v.Conflicts = v.Conflicts[:maxListed]
	}
	// Conflicts have a list of their own.
	v.Listed = slices.DeleteFunc(slices.Clone(r.Files), func(f File) bool { return f.Conflict && len(v.Conflicts) < maxListed })
	slices.SortStableFunc(v.Listed, func(a, b File) int { return rank(b.State) - rank(a.State) })
	if len(v.Listed) > maxListed {
		v.More, v.Listed = len(v.Listed)-maxListed, v.Listed[:maxListed]
	}
	v.Tiles = tiles(r, all)
	return v
}

func rank(s State) int { return map[State]int{Good: 0, Warn: 1, Bad: 2}[s] }

func tiles(r Report, all []File) []tile {
	var found []tile
	if n := len(r.Scenarios); n > 0 {
		passed, hit := 0, 0
		for _, s := range r.Scenarios {
			if s.State == Good {
				passed++
			}
			for _, e := range s.Effects {
				hit += len(e.Hit)
			}
		}
		found = append(found, tile{fmt.Sprintf("%d of %d", passed, n), "scenarios passed", allGood(passed, n)}, tile{fmt.Sprint(hit), "objects hit", ""})
	}
	restored, conflicts := 0, 0
	for _, f := range all {
		if f.State == Good {
			restored++
		}
		if f.Conflict {
			conflicts++
		}
	}
	left := len(all) - restored
	for _, s := range r.Scenarios {
		left += len(s.Pending)
	}
	found = append(found, tile{fmt.Sprint(restored), "undone and verified", Good}, tile{fmt.Sprint(left), "not restored", allGood(0, left)})
	if conflicts > 0 {
		found = append(found, tile{fmt.Sprint(conflicts), "conflicts", Bad})
	}
	return append(found, tile{duration(r.Ended.Sub(r.Began)), "in all", ""})
}

func allGood(got, want int) State {
	if got == want {
		return Good
	}
	return Bad
}

// level is the class of a log line.
func level(line string) string {
	for mark, class := range map[string]string{"[ERROR]": "bad", "[WARNING]": "warn", `"level":"ERROR"`: "bad", `"level":"WARN"`: "warn"} {
		if strings.Contains(line, mark) {
			return class
		}
	}
	return ""
}
