package console

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON returns a writer for the output of a JSON encoder, which escapes invisible characters.
// encoding/json leaves C1 controls, DEL and characters that reverse the line as they are, but JSON
// is read on terminals, too. Such characters occur only in strings, so the meaning stays the same.
// Each write must end between characters, as those of encoders do.
func JSON(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ io.Writer }

func (w jsonWriter) Write(b []byte) (int, error) {
	// An escaped text has no offset in b. So an error counts nothing as written.
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
