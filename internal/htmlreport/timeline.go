package htmlreport

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The sizes of the timeline, in the units of its view box.
const (
	width     = 960
	labelTop  = 15
	rowHeight = 44
	axis      = 26
	barHeight = 15
	markWidth = 4.0
	minBar    = 6.0
	maxRows   = 60
)

// timeline is the picture, ready to be drawn.
type timeline struct {
	Width, Height float64
	Rows          []row
	Ticks         []tick
	Left          int // rows that have no place
}

type row struct {
	Label string
	Y     float64
	Bars  []bar
	Ends  []end
}

// bar is a phase. Its class is its colour.
type bar struct {
	X, Y, W float64
	Class   string
	Title   string
}

// end is a moment: the chaos ended, the undo was verified.
type end struct {
	X, Y  float64
	Class string
	Title string
}

// Bottom is where its line ends.
func (e end) Bottom() float64 { return e.Y + barHeight }

type tick struct {
	X    float64
	Text string
	End  bool // the text ends at X
}

// scale maps times to the width.
type scale struct{ from, to time.Time }

func (s scale) x(t time.Time) float64 {
	span := s.to.Sub(s.from)
	if span <= 0 {
		return 0
	}
	share := float64(t.Sub(s.from)) / float64(span)
	return min(max(share, 0), 1) * width
}

// mark is the place and the width of a moment.
func (s scale) mark(t time.Time) float64 { return min(max(s.x(t), markWidth/2), width-markWidth/2) }

func (s scale) bar(y float64, from, to time.Time, class, what string) bar {
	w := max(s.x(to)-s.x(from), minBar)
	return bar{
		X: max(s.x(to)-w, 0), Y: y, W: w, Class: class,
		Title: fmt.Sprintf("%s: %s, from %s to %s", what, duration(to.Sub(from)), clock(from), clock(to)),
	}
}

// newTimeline draws the scenarios, or the files of a replay. If there are too many, it draws the
// slowest.
func newTimeline(r Report) timeline {
	s := scale{r.Began, r.Ended}
	t := timeline{Width: width}
	add := func(label string, draw func(y float64, row *row)) {
		if len(t.Rows) == maxRows {
			t.Left++
			return
		}
		y := float64(len(t.Rows) * rowHeight)
		one := row{Label: label, Y: y + labelTop}
		draw(y+labelTop+6, &one)
		t.Rows = append(t.Rows, one)
	}
	for _, x := range r.Scenarios {
		add(x.Name, func(y float64, row *row) { s.scenario(x, y, row) })
	}
	files := slices.DeleteFunc(slices.Clone(r.Files), func(f File) bool { return f.Ended.IsZero() })
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(b.Took, a.Took) })
	if len(files) > maxRows {
		t.Left, files = len(files)-maxRows, files[:maxRows]
	}
	slices.SortStableFunc(files, func(a, b File) int { return a.Ended.Compare(b.Ended) })
	for _, f := range files {
		add(f.Name, func(y float64, row *row) { s.file(f, y, row) })
	}
	t.Height = float64(len(t.Rows)*rowHeight + axis)
	t.Ticks = s.ticks()
	return t
}

// scenario draws the phases of a scenario: the change, the chaos in force, the undo, and the
// moments between them.
func (s scale) scenario(x Scenario, y float64, row *row) {
	undoing := time.Duration(0)
	for _, f := range x.Undo {
		undoing += f.Took
	}
	undo := x.Ended.Add(-undoing)
	if undo.Before(x.Began) {
		undo = x.Began
	}
	from, until, held := time.Time{}, time.Time{}, false
	for _, e := range x.Effects {
		held = e.State == Good
		if !e.From.IsZero() && (from.IsZero() || e.From.Before(from)) {
			from = e.From
		}
		if e.Until.After(until) {
			until = e.Until
		}
	}
	if from.IsZero() {
		row.Bars = append(row.Bars, s.bar(y, x.Began, undo, "change", "change and wait; the chaos was not observed"))
	} else {
		row.Bars = append(row.Bars, s.bar(y, x.Began, from, "change", "change"))
		row.Bars = append(row.Bars, s.bar(y, from, until, "force", "in force"))
		if held && undo.After(until) { // nobody saw it end
			row.Bars = append(row.Bars, s.bar(y, until, undo, "force faint", "not looked at again after it was in force"))
			until = undo
		}
		row.Ends = append(row.Ends, end{s.mark(until), y, "ended", "ended, " + clock(until)})
	}
	if len(x.Undo) > 0 {
		row.Bars = append(row.Bars, s.bar(y, undo, x.Ended, "undo", "undone"))
	}
	row.Ends = append(row.Ends, s.last(x.Undo, x.Ended, y)...)
}

func (s scale) file(f File, y float64, row *row) {
	row.Bars = append(row.Bars, s.bar(y, f.Ended.Add(-f.Took), f.Ended, "undo", f.Outcome))
	row.Ends = append(row.Ends, s.last([]File{f}, f.Ended, y)...)
}

// last is the moment at the end: verified, or not restored.
func (s scale) last(files []File, at time.Time, y float64) []end {
	if len(files) == 0 {
		return nil
	}
	if slices.ContainsFunc(files, func(f File) bool { return !f.Verified }) {
		return []end{{s.mark(at), y, "bad", "not restored, " + clock(at)}}
	}
	return []end{{s.mark(at), y, "verified", "verified, " + clock(at)}}
}

func (s scale) ticks() []tick {
	const parts = 4
	var all []tick
	for i := range parts + 1 {
		at := s.to.Sub(s.from) * time.Duration(i) / parts
		all = append(all, tick{X: float64(width*i) / parts, Text: "+" + duration(at), End: i == parts})
	}
	return all
}

func clock(t time.Time) string { return t.Local().Format("15:04:05") }

// duration is a duration without what doesn't matter to a person.
func duration(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
