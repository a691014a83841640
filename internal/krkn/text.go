package krkn

import (
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/runenames"
)

// text reads string literals that stand beside each other, which are one string.
func (s *scanner) text() (string, error) {
	var b strings.Builder
	for {
		if err := s.oneText(&b); err != nil {
			return "", err
		}
		s.space()
		if s.at >= len(s.source) {
			return b.String(), nil
		}
		end := s.at + len(s.word())
		if end-s.at > 2 || end >= len(s.source) || s.source[end] != '"' && s.source[end] != '\'' {
			return b.String(), nil
		}
	}
}

// oneText reads a string literal: its prefix, its quotes, and what is between them.
func (s *scanner) oneText(b *strings.Builder) error {
	prefix := strings.ToLower(s.word())
	switch prefix {
	case "", "r", "u":
	case "f", "fr", "rf", "t", "tr", "rt":
		return s.failf("got a formatted string (%s…), want a literal: code is never run", prefix)
	case "b", "br", "rb":
		return s.failf("got bytes (%s…), want a string", prefix)
	default:
		return s.failf("got %s before a string, want a literal", s.found())
	}
	s.at += len(prefix)
	quote := s.source[s.at : s.at+1]
	if strings.HasPrefix(s.source[s.at:], quote+quote+quote) {
		quote = quote + quote + quote
	}
	s.at += len(quote)
	for {
		rest := s.source[s.at:]
		switch {
		case rest == "":
			return s.failf("a string has no end")
		case strings.HasPrefix(rest, quote):
			s.at += len(quote)
			return nil
		case rest[0] == '\n' && len(quote) == 1:
			return s.failf("a string has no end on its line")
		case rest[0] == '\\' && prefix == "r":
			if len(rest) == 1 {
				return s.failf("a string has no end")
			}
			_, size := utf8.DecodeRuneInString(rest[1:]) // the character after it ends nothing
			b.WriteString(rest[:1+size])
			s.at += 1 + size
		case rest[0] == '\\':
			s.at++
			if err := s.escape(b); err != nil {
				return err
			}
		default:
			b.WriteByte(rest[0])
			s.at++
		}
	}
}

// escapes are those of one character.
var escapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// escape reads what comes after a backslash.
func (s *scanner) escape(b *strings.Builder) error {
	if s.at >= len(s.source) {
		return s.failf("a string has no end")
	}
	c := s.source[s.at]
	if short, ok := escapes[c]; ok {
		b.WriteString(short)
		s.at++
		return nil
	}
	switch c {
	case 'x':
		return s.codePoint(b, 1, 2, 16)
	case 'u':
		return s.codePoint(b, 1, 4, 16)
	case 'U':
		return s.codePoint(b, 1, 8, 16)
	case 'N':
		return s.namedCharacter(b)
	}
	if c >= '0' && c <= '7' {
		digits := 1
		for digits < 3 && s.at+digits < len(s.source) && s.source[s.at+digits] >= '0' && s.source[s.at+digits] <= '7' {
			digits++
		}
		return s.codePoint(b, 0, digits, 8)
	}
	b.WriteByte('\\') // Python keeps what is no escape, with a warning
	return nil
}

// codePoint reads the digits of a character, after those that say which form it is.
func (s *scanner) codePoint(b *strings.Builder, skip, digits, base int) error {
	begin := s.at + skip
	if begin+digits > len(s.source) {
		return s.failf("a string has no end")
	}
	code, err := strconv.ParseUint(s.source[begin:begin+digits], base, 32)
	if err != nil {
		return s.failf("got the escape \\%s, want %d digits", strconv.Quote(s.source[s.at:begin+digits]), digits)
	}
	if code > unicode.MaxRune || !utf8.ValidRune(rune(code)) {
		return s.failf("got the escape \\%s, which is no character", s.source[s.at:begin+digits])
	}
	b.WriteRune(rune(code))
	s.at = begin + digits
	return nil
}

// maxName is more than the longest name of a character.
const maxName = 100

// characters finds characters by their names.
var characters = sync.OnceValue(func() map[string]rune {
	all := map[string]rune{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if name := runenames.Name(r); name != "" && name[0] != '<' {
			all[name] = r
		}
	}
	return all
})

// namedCharacter reads N{NAME}.
func (s *scanner) namedCharacter(b *strings.Builder) error {
	rest := s.source[s.at:]
	end := strings.IndexByte(rest[:min(len(rest), maxName)], '}')
	if end < 0 || !strings.HasPrefix(rest, "N{") {
		return s.failf(`got the escape \N without {NAME}`)
	}
	r, ok := characters()[strings.ToUpper(rest[2:end])]
	if !ok {
		return s.failf("got the escape \\N{%s}, which names no known character", rest[2:end])
	}
	b.WriteRune(r)
	s.at += end + 1
	return nil
}
