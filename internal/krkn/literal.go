package krkn

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// maxDepth bounds nested tuples and lists. Krkn writes one level, or two for Azure.
const maxDepth = 8

// A syntaxError says what is wrong in a line of a file.
type syntaxError struct {
	line int
	what string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.what) }

// scanner reads Python literals from source, up to its end.
type scanner struct {
	source string
	at     int
}

func (s *scanner) failf(format string, args ...any) error {
	return &syntaxError{1 + strings.Count(s.source[:min(s.at, len(s.source))], "\n"), fmt.Sprintf(format, args...)}
}

// space skips what Python ignores between the tokens of an expression in brackets.
func (s *scanner) space() {
	for s.at < len(s.source) {
		switch c := s.source[s.at]; {
		case strings.IndexByte(" \t\f\n", c) >= 0:
			s.at++
		case strings.HasPrefix(s.source[s.at:], "\\\n"):
			s.at += 2
		case c == '#':
			end := strings.IndexByte(s.source[s.at:], '\n')
			if end < 0 {
				end = len(s.source) - s.at
			}
			s.at += end
		default:
			return
		}
	}
}

// next reports whether the next token begins with c, and skips that.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.at < len(s.source) && s.source[s.at] == c {
		s.at++
		return true
	}
	return false
}

func isWordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// word returns the ASCII letters, digits and underscores that come next, without skipping them.
func (s *scanner) word() string {
	end := s.at
	for end < len(s.source) && isWordByte(s.source[end]) {
		end++
	}
	return s.source[s.at:end]
}

// found describes what comes next, for messages.
func (s *scanner) found() string {
	if s.at >= len(s.source) {
		return "the end of the file"
	}
	if w := s.word(); w != "" {
		return strconv.Quote(w[:min(len(w), 40)])
	}
	for _, r := range s.source[s.at:] {
		return strconv.Quote(string(r))
	}
	return ""
}

// call reads NAME(KEYWORD=LITERAL, …). Only keywords are taken: that is how Krkn writes it.
func (s *scanner) call(name string) (map[string]any, error) {
	if s.word() != name {
		return nil, s.failf("got %s, want %s(…)", s.found(), name)
	}
	s.at += len(name)
	if !s.next('(') {
		return nil, s.failf("got %s after %s, want (", s.found(), name)
	}
	arguments := map[string]any{}
	for !s.next(')') {
		keyword := s.word()
		if keyword == "" || keyword[0] >= '0' && keyword[0] <= '9' {
			return nil, s.failf("got %s in %s(…), want a keyword and a literal", s.found(), name)
		}
		s.at += len(keyword)
		if !s.next('=') {
			return nil, s.failf("got %s after %q in %s(…), want = and a literal", s.found(), keyword, name)
		}
		if _, twice := arguments[keyword]; twice {
			return nil, s.failf("the keyword %q is given twice", keyword)
		}
		value, err := s.literal(0)
		if err != nil {
			return nil, err
		}
		arguments[keyword] = value
		if !s.next(',') {
			if s.next(')') {
				break
			}
			return nil, s.failf("got %s after the value of %q, want , or )", s.found(), keyword)
		}
	}
	return arguments, nil
}

// literal reads None, a bool, a number, a string, or a tuple or list of literals: nil, bool, int64,
// float64, string or []any.
func (s *scanner) literal(depth int) (any, error) {
	s.space()
	if depth > maxDepth {
		return nil, s.failf("nested deeper than %d", maxDepth)
	}
	if s.at >= len(s.source) {
		return nil, s.failf("got the end of the file, want a literal")
	}
	switch c := s.source[s.at]; {
	case c == '(':
		s.at++
		return s.sequence(')', depth)
	case c == '[':
		s.at++
		return s.sequence(']', depth)
	case c == '-' || c == '+':
		s.at++
		value, err := s.number()
		if err != nil || c == '+' {
			return value, err
		}
		return negative(value), nil
	case c == '.' || c >= '0' && c <= '9':
		return s.number()
	case c == '"' || c == '\'':
		return s.text()
	}
	w := s.word()
	switch w {
	case "None", "True", "False":
		s.at += len(w)
		return map[string]any{"None": nil, "True": true, "False": false}[w], nil
	}
	if end := s.at + len(w); len(w) > 0 && len(w) <= 2 && end < len(s.source) && (s.source[end] == '"' || s.source[end] == '\'') {
		return s.text()
	}
	return nil, s.failf("got %s, want a literal: code is never run", s.found())
}

// sequence reads the rest of a tuple or list. One literal in parentheses is that literal, as in
// Python.
func (s *scanner) sequence(end byte, depth int) (any, error) {
	all := []any{}
	comma := false
	for !s.next(end) {
		if len(all) > 0 && !comma {
			return nil, s.failf("got %s, want , or %c", s.found(), end)
		}
		value, err := s.literal(depth + 1)
		if err != nil {
			return nil, err
		}
		all = append(all, value)
		comma = s.next(',')
	}
	if end == ')' && len(all) == 1 && !comma {
		return all[0], nil
	}
	return all, nil
}

// number reads an int or a float without its sign.
func (s *scanner) number() (any, error) {
	end := s.at
	for end < len(s.source) {
		c := s.source[end]
		exponent := end > s.at && (c == '+' || c == '-') && strings.IndexByte("eE", s.source[end-1]) >= 0 && !strings.HasPrefix(strings.ToLower(s.source[s.at:end]), "0x")
		if !isWordByte(c) && c != '.' && !exponent {
			break
		}
		end++
	}
	digits := s.source[s.at:end]
	if len(digits) > 40 {
		return nil, s.failf("a number of %d characters, want at most 40", len(digits))
	}
	value, err := numberOf(digits)
	if err != nil {
		return nil, s.failf("got %q, want a number", digits)
	}
	s.at = end
	return value, nil
}

// numberOf is the value of a number as Python writes it.
func numberOf(digits string) (any, error) {
	// In Go, 017 is octal and 1_.5 is not checked; Python has neither.
	leading := strings.TrimLeft(digits, "0_")
	if strings.HasPrefix(digits, "0") && leading != "" && leading[0] >= '0' && leading[0] <= '9' && !strings.ContainsAny(digits, ".eE") {
		return nil, strconv.ErrSyntax
	}
	if i, ok := new(big.Int).SetString(digits, 0); ok {
		if !i.IsInt64() {
			return nil, strconv.ErrRange
		}
		return i.Int64(), nil
	}
	if strings.ContainsAny(digits, "xXpPnN") { // hexadecimal floats, NaN and Inf are Go's
		return nil, strconv.ErrSyntax
	}
	plain := digits
	if strings.Contains(digits, "_") {
		for i, c := range []byte(digits) {
			if c == '_' && (i == 0 || i == len(digits)-1 || !isDigit(digits[i-1]) || !isDigit(digits[i+1])) {
				return nil, strconv.ErrSyntax
			}
		}
		plain = strings.ReplaceAll(digits, "_", "")
	}
	return strconv.ParseFloat(plain, 64)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func negative(value any) any {
	switch value := value.(type) {
	case int64:
		return -value
	case float64:
		return -value
	}
	return value
}
