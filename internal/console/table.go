package console

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// tableSample is how many rows are looked at before the first is printed.
	tableSample = 200
	// widestCell limits the width that one long cell gives its column.
	widestCell = 60
	// gap is between two columns.
	gap = "  "
)

// Table prints rows in columns as they come. The first rows decide the widths of the columns. The
// last column is the name of the row, which is never cut, so that it can be copied.
//
// On a terminal that is too narrow for the table each row takes several lines: as many of its
// columns as fit, below a header, then the others, indented, and then its name. A short last cell
// is still on the first line.
type Table struct {
	w       io.Writer
	columns []string
	first   int // columns of the first line on a narrow terminal, at least
	screen  int // width of the terminal, 0 elsewhere
	sample  [][]string
	widths  []int // nil while rows are looked at
	narrow  bool
}

// NewTable returns a table with these columns. On a narrow terminal, at least the first columns, as
// many as first, are on one line. End the table with Close.
func NewTable(w io.Writer, screen, first int, columns ...string) *Table {
	return &Table{w: w, columns: columns, first: first, screen: screen}
}

// Width returns the width of the terminal w, or 0 if w is none.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !IsTerminal(w) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// Row adds a row.
func (t *Table) Row(cells []string) error {
	row := make([]string, len(cells))
	for i, cell := range cells {
		if row[i] = Clean(strings.ReplaceAll(cell, "\n", "; ")); cell == "" {
			row[i] = "-"
		}
	}
	if t.widths != nil {
		return t.print(row)
	}
	if t.sample = append(t.sample, row); len(t.sample) < tableSample {
		return nil
	}
	return t.begin()
}

// Close prints what was not printed yet.
func (t *Table) Close() error {
	if t.widths != nil {
		return nil
	}
	return t.begin()
}

// begin decides the widths, and prints the rows that were kept for that.
func (t *Table) begin() error {
	t.widths = make([]int, len(t.columns))
	total := 0
	for i, column := range t.columns {
		longest := utf8.RuneCountInString(column)
		for _, row := range t.sample {
			longest = max(longest, utf8.RuneCountInString(row[i]))
		}
		t.widths[i] = min(longest, widestCell)
		if i == len(t.columns)-1 {
			t.widths[i] = longest
		}
		total += t.widths[i] + len(gap)
	}
	t.narrow = t.screen > 0 && total-len(gap) > t.screen
	header := t.columns
	if t.narrow {
		header = header[:t.fit()]
	}
	err := t.line(header)
	for _, row := range t.sample {
		if err == nil {
			err = t.print(row)
		}
	}
	t.sample = nil
	return err
}

// fit decides how many columns the first line of a row has on a narrow terminal, and returns how
// many the header has.
func (t *Table) fit() int {
	others := len(t.columns) - 1
	used := 0
	for i := range others {
		if used += t.widths[i]; used > t.screen {
			break
		}
		t.first = max(t.first, i+1)
		used += len(gap)
	}
	if t.first == others-1 && t.room() >= utf8.RuneCountInString(t.columns[t.first]) {
		return others
	}
	return t.first
}

// room returns the width that is left beside the first columns.
func (t *Table) room() int {
	room := t.screen
	for _, width := range t.widths[:t.first] {
		room -= width + len(gap)
	}
	return room
}

func (t *Table) print(row []string) error {
	if !t.narrow {
		return t.line(row)
	}
	if last := len(row) - 2; t.first == last && row[last] != "-" && utf8.RuneCountInString(row[last]) <= t.room() {
		if err := t.line(row[:last+1]); err != nil {
			return err
		}
		_, err := io.WriteString(t.w, gap+row[last+1]+"\n")
		return err
	}
	if err := t.line(row[:t.first]); err != nil {
		return err
	}
	var said []string
	for _, cell := range row[t.first : len(row)-1] {
		if cell != "-" {
			said = append(said, cell)
		}
	}
	text := append(wrap(strings.Join(said, gap), t.screen-len(gap)), row[len(row)-1])
	_, err := io.WriteString(t.w, gap+strings.Join(text, "\n"+gap)+"\n")
	return err
}

// line prints cells below each other's. What is longer than its column moves the rest of its line.
func (t *Table) line(cells []string) error {
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(cell)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, t.widths[i]-utf8.RuneCountInString(cell))) + gap)
		}
	}
	lines := []string{b.String()}
	if t.narrow {
		lines = wrap(b.String(), t.screen)
	}
	_, err := io.WriteString(t.w, strings.Join(lines, "\n")+"\n")
	return err
}

// wrap cuts a text into lines of at most so many characters, between words where it can. A text
// that fits is left as it is.
func wrap(text string, width int) []string {
	var lines []string
	rest := []rune(text)
	for width = max(width, 1); len(rest) > width; {
		end := width
		for i := width; i > 0; i-- {
			if rest[i] == ' ' {
				end = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(rest[:end]), " "))
		rest = []rune(strings.TrimLeft(string(rest[end:]), " "))
	}
	if len(rest) > 0 {
		lines = append(lines, string(rest))
	}
	return lines
}
