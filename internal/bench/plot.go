package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// plots draws a measurement: the ratio of each row, and how the time and the memory grow with the size.
func (r *Report) plots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mib := func(n float64) string { return fmt.Sprintf("%.0f MiB", n) }
	for name, svg := range map[string]string{
		"ratios.svg": r.ratios(), "growth.svg": r.growth("wall time", wall, duration), "memory.svg": r.growth("most memory of one process", peak, mib),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const (
	ebbColor  = "#1f77b4"
	cpuColor  = "#9ecae1"
	bareColor = "#7f7f7f"
	wantColor = "#d62728"
	labels    = 430 // width of the names of rows
	barsWidth = 420
)

// drawing is an SVG.
type drawing struct{ strings.Builder }

func (d *drawing) open(width, height int, title string) {
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(d, `<title>%s</title><rect width="100%%" height="100%%" fill="white"/>`+"\n", html.EscapeString(title))
}

func (d *drawing) text(x, y float64, anchor, text string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(text))
}

func (d *drawing) bar(x, y, width, height float64, color string) {
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, width, height, color)
}

func (d *drawing) line(x1, y1, x2, y2 float64, color string) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, color)
}

// ratios is one pair of bars a row: wall time and CPU time beside the bare program's, and the reach.
func (r *Report) ratios() string {
	rows := slices.DeleteFunc(slices.Clone(r.Rows), func(row *Result) bool { return row.ratio(wall) == 0 })
	most := 2.0
	for _, row := range rows {
		most = max(most, row.ratio(wall), row.ratio(cpu))
	}
	most = min(math.Ceil(most), 12)
	scale := func(ratio float64) float64 { return min(ratio, most) / most * barsWidth }
	const step = 34
	d := &drawing{}
	d.open(labels+barsWidth+70, step*len(rows)+60, "ebb beside bare programs")
	d.text(labels, 18, "start", "ebb / bare: wall time (dark), CPU time (light), reach (red)")
	bottom := float64(step*len(rows) + 30)
	for i := range int(most) + 1 {
		x := labels + scale(float64(i))
		d.line(x, 26, x, bottom, "#dddddd")
		d.text(x, bottom+16, "middle", fmt.Sprint(i))
	}
	for i, row := range rows {
		y := float64(32 + step*i)
		d.text(labels-8, y+16, "end", strings.ReplaceAll(row.What, "`", ""))
		d.bar(labels, y, scale(row.ratio(wall)), 12, ebbColor)
		d.text(labels+scale(row.ratio(wall))+4, y+10, "start", times(row.ratio(wall)))
		d.bar(labels, y+13, scale(row.ratio(cpu)), 8, cpuColor)
		if row.Reach > 0 {
			x := labels + scale(row.Reach)
			d.line(x, y-2, x, y+23, wantColor)
		}
	}
	d.WriteString("</svg>\n")
	return d.String()
}

// curve is the times of rows that differ in their size alone.
type curve struct {
	name  string
	color string
	of    func(*Result) []Sample
	rows  []*Result
}

// growth has both axes logarithmic: what is linear is a straight line.
func (r *Report) growth(what string, value func(Sample) float64, unit func(float64) string) string {
	var curves []curve
	for _, prefix := range []string{"gone/", "list/", "run/", "wide/"} {
		var rows []*Result
		for _, row := range r.Rows {
			if size := strings.TrimPrefix(row.Name, prefix); size != row.Name && row.Size > 0 && (size == fmt.Sprint(row.Size) || size == fmt.Sprintf("%d/1", row.Size)) {
				rows = append(rows, row)
			}
		}
		slices.SortFunc(rows, func(a, b *Result) int { return cmp.Compare(a.Size, b.Size) })
		name := strings.TrimSuffix(prefix, "/")
		curves = append(curves,
			curve{name, ebbColor, func(row *Result) []Sample { return row.Ebb }, rows},
			curve{name + ", bare", bareColor, func(row *Result) []Sample { return row.Bare }, rows})
	}
	const left, top, width, height = 70.0, 30.0, 520.0, 380.0
	x := func(size int) float64 { return left + (math.Log10(float64(size))-0.8)/4.4*width }
	y := func(ms float64) float64 { return top + height - math.Log10(max(ms, 1))/5*height }
	d := &drawing{}
	d.open(left+width+110, top+height+50, what+" by size")
	d.text(left, 18, "start", what+" by number of files or objects; ebb (blue) and the bare program (grey)")
	for decade := range 6 {
		power := math.Pow10(decade)
		d.line(left, y(power), left+width, y(power), "#dddddd")
		d.text(left-6, y(power)+4, "end", unit(power))
	}
	for _, size := range []int{10, 100, 1000, 10_000, 100_000} {
		d.line(x(size), top, x(size), top+height, "#dddddd")
		d.text(x(size), top+height+18, "middle", fmt.Sprint(size))
	}
	for _, c := range curves {
		var points []string
		for _, row := range c.rows {
			if s, ok := spreadOf(c.of(row), value); ok {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(row.Size), y(s.median)))
			}
		}
		if len(points) == 0 {
			continue
		}
		fmt.Fprintf(d, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), c.color)
		var px, py float64
		if _, err := fmt.Sscanf(points[len(points)-1], "%f,%f", &px, &py); err == nil {
			d.text(px+6, py+4, "start", c.name)
		}
	}
	d.WriteString("</svg>\n")
	return d.String()
}
