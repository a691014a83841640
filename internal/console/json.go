package console

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON returns a writer for what a JSON encoder prints, which escapes what can't be seen:
// encoding/json leaves C1 controls, DEL and characters that reverse the line as they are, and
// results are looked at on terminals too. They can only be in strings, so that the meaning stays.
// Each write must end between characters, as those of encoders do.
func JSON(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ io.Writer }

func (w jsonWriter) Write(b []byte) (int, error) {
	// What was escaped, and so has no offset in b, was written all or not at all: an error counts
	// nothing.
	if _, err := w.Writer.Write(escapeJSON(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func escapeJSON(b []byte) []byte {
	var out []byte // nil as long as nothing had to be escaped
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		seen := r == '\n' || r == '\t' || unicode.IsPrint(r)
		if !seen && out == nil {
			out = append(make([]byte, 0, len(b)+64), b[:i]...)
		}
		switch {
		case !seen && r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		case !seen:
			out = fmt.Appendf(out, `\u%04x`, r)
		case out != nil:
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
	if out == nil {
		return b
	}
	return out
}
