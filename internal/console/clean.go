package console

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from outside safe to print on one line of a terminal. Invisible characters are
// escaped as in Go, so that no name moves the cursor, reverses the line or hides a part of itself.
// Tabs and plain spaces stay.
func Clean(s string) string {
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r):
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// hidden holds for U+FFFD too, since that is what invalid bytes decode to.
func hidden(r rune) bool { return r != '\t' && (r == utf8.RuneError || !unicode.IsPrint(r)) }
