package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what was measured, as JSON.
type Report struct {
	Version int       `json:"version"` // of this format
	Time    time.Time `json:"time"`
	Note    string    `json:"note,omitempty"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	Rows    []*Result `json:"rows"`
}

// Result is one row, measured.
type Result struct {
	Name   string   `json:"name"`
	What   string   `json:"what"`
	BareIs string   `json:"bare_is,omitempty"`
	Size   int      `json:"size"`
	Reach  float64  `json:"reach,omitempty"` // the ratio that is wanted
	Ebb    []Sample `json:"ebb"`
	Bare   []Sample `json:"bare,omitempty"`
}

const formatVersion = 1

func newReport(note string) *Report {
	return &Report{Version: formatVersion, Time: time.Now().UTC().Truncate(time.Second), Note: note, CPUs: runtime.NumCPU(), Go: runtime.Version()}
}

func readReport(name string) (*Report, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Version != formatVersion {
		return nil, fmt.Errorf("%s: got format %d, want %d", name, r.Version, formatVersion)
	}
	return &r, nil
}

func (r *Report) write(name string) error {
	content, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, append(content, '\n'), 0o644)
}

// spread is the lowest, the middle and the highest of some numbers.
type spread struct{ min, median, max float64 }

func spreadOf(samples []Sample, of func(Sample) float64) (s spread, ok bool) {
	if len(samples) == 0 {
		return s, false
	}
	var values []float64
	for _, sample := range samples {
		values = append(values, of(sample))
	}
	slices.Sort(values)
	n := len(values)
	return spread{values[0], (values[(n-1)/2] + values[n/2]) / 2, values[n-1]}, true
}

func wall(s Sample) float64   { return s.Wall }
func cpu(s Sample) float64    { return s.CPU }
func first(s Sample) float64  { return s.First }
func peak(s Sample) float64   { return s.Peak }
func undone(s Sample) float64 { return s.Undo }

// ratio is ebb's median beside the bare program's, 0 where there is none.
func (r *Result) ratio(of func(Sample) float64) float64 {
	ebb, ok := spreadOf(r.Ebb, of)
	bare, there := spreadOf(r.Bare, of)
	if !ok || !there || bare.median == 0 {
		return 0
	}
	return ebb.median / bare.median
}

// line is a result on one line, for who waits.
func (r *Result) line() string {
	ebb, _ := spreadOf(r.Ebb, wall)
	text := fmt.Sprintf("%-28s %9s", r.Name, duration(ebb.median))
	if bare, ok := spreadOf(r.Bare, wall); ok {
		text += fmt.Sprintf("   bare %9s   %5.2fx", duration(bare.median), r.ratio(wall))
	}
	return text
}

// duration prints milliseconds in the unit that suits.
func duration(ms float64) string {
	switch {
	case ms >= 10_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

func (s spread) String() string {
	if s.min == s.max {
		return duration(s.median)
	}
	return fmt.Sprintf("%s (%s to %s)", duration(s.median), duration(s.min), duration(s.max))
}

func times(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ratio)
}

// table prints Markdown: medians, with the lowest and the highest in brackets.
func (r *Report) table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s, %d CPUs, %s. %s\n\n", r.Time.Format("2006-01-02"), r.CPUs, r.Go, r.Note)
	b.WriteString("| work | ebb | bare | wall, ebb / bare | CPU, ebb / bare | reach | first output | first undo | memory, ebb / bare |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range r.Rows {
		ebb, _ := spreadOf(row.Ebb, wall)
		bareText, peakText := "-", ""
		memory, _ := spreadOf(row.Ebb, peak)
		peakText = fmt.Sprintf("%.0f MiB", memory.max)
		if bare, ok := spreadOf(row.Bare, wall); ok {
			bareText = bare.String()
			memory, _ := spreadOf(row.Bare, peak)
			peakText += fmt.Sprintf(" / %.0f MiB", memory.max)
		}
		if memory.max == 0 {
			peakText = "-"
		}
		firstText, undoneText := "-", "-"
		if f, _ := spreadOf(row.Ebb, first); f.median > 0 {
			firstText = duration(f.median)
		}
		if u, _ := spreadOf(row.Ebb, undone); u.median > 0 {
			undoneText = duration(u.median)
		}
		reach := "-"
		if row.Reach > 0 {
			reach = fmt.Sprintf("%.2f", row.Reach)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", row.What, ebb, bareText, times(row.ratio(wall)), times(row.ratio(cpu)), reach, firstText, undoneText, peakText)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// compare prints two measurements beside each other: how many times as long the new one takes, by
// itself, and by what is left when the bare program of its time is taken out.
func compare(w io.Writer, before, after *Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "row\tbefore\tafter\tafter / before\tbeside bare\tCPU")
	old := map[string]*Result{}
	for _, row := range before.Rows {
		old[row.Name] = row
	}
	for _, row := range after.Rows {
		then := old[row.Name]
		if then == nil {
			fmt.Fprintf(table, "%s\t-\t%s\t\t\t\n", row.Name, duration(median(row.Ebb, wall)))
			continue
		}
		delete(old, row.Name)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Name, duration(median(then.Ebb, wall)), duration(median(row.Ebb, wall)),
			quotient(median(row.Ebb, wall), median(then.Ebb, wall)), quotient(row.ratio(wall), then.ratio(wall)), quotient(median(row.Ebb, cpu), median(then.Ebb, cpu)))
	}
	for _, row := range before.Rows {
		if old[row.Name] != nil {
			fmt.Fprintf(table, "%s\t%s\t-\t\t\t\n", row.Name, duration(median(row.Ebb, wall)))
		}
	}
	return table.Flush()
}

func median(samples []Sample, of func(Sample) float64) float64 {
	s, _ := spreadOf(samples, of)
	return s.median
}

func quotient(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return times(a / b)
}
