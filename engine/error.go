package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// An Error is an error in a script, or one that a script has raised.
type Error struct {
	Pos     syntax.Position // in the script: of the innermost Starlark frame
	Msg     string
	Excerpt string   // the line at Pos, and a caret under its column; "" if it is not known
	Advice  []string // what to do about it
	Others  []*Error // further errors found at the same time, 20 at most: all undefined names of a file

	cause   error
	trace   string
	omitted int // number of further errors that are not in Others
}

// maxOthers bounds Others: a damaged file can have a hundred thousand undefined names.
const maxOthers = 20

// Error returns "file:line:column: message" on one line.
func (e *Error) Error() string {
	msg := strings.ReplaceAll(e.Msg, "\n", `\n`)
	if n := len(e.Others) + e.omitted; n > 0 {
		msg += fmt.Sprintf(" (and %d more)", n)
	}
	if !e.Pos.IsValid() {
		return msg
	}
	return e.Pos.String() + ": " + msg
}

// Unwrap returns what was raised: a *FailError, an error of a builtin, the context's error,
// ErrSteps.
func (e *Error) Unwrap() error { return e.cause }

// Hints returns what to do about it.
func (e *Error) Hints() []string { return e.Advice }

// Backtrace returns the calls that led to the error, one on each line, the outermost first. It is
// "" if there are none.
func (e *Error) Backtrace() string { return e.trace }

// Each returns this error and the Others, each as an *Error of its own.
func (e *Error) Each() []*Error {
	first := *e
	first.Others = nil
	return append([]*Error{&first}, e.Others...)
}

// Detail returns the error on several lines, for a terminal: with excerpt, hints and the other
// errors.
func (e *Error) Detail() string {
	b := new(strings.Builder)
	if e.Pos.IsValid() {
		fmt.Fprintf(b, "%s: ", e.Pos)
	}
	fmt.Fprintln(b, strings.ReplaceAll(e.Msg, "\n", "\n    "))
	if e.Excerpt != "" {
		for line := range strings.SplitSeq(e.Excerpt, "\n") {
			fmt.Fprintln(b, "   ", line)
		}
	}
	for _, hint := range e.Advice {
		fmt.Fprintln(b, "  hint:", hint)
	}
	for _, other := range e.Others {
		fmt.Fprintln(b, other.Detail())
	}
	if e.omitted > 0 {
		fmt.Fprintf(b, "and %d more\n", e.omitted)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// hinted is an error with a hint, on its way into an *Error.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// cancelled is the message of the interpreter after Cancel was called.
const cancelled = "Starlark computation cancelled: "

// explain makes an *Error of an error of the interpreter.
func (e *Engine) explain(c *call, err error) *Error {
	if known, ok := err.(*Error); ok {
		return known
	}
	// The error of a loaded module is returned as it is. The load statement adds nothing.
	var failure *loadFailure
	if errors.As(err, &failure) {
		inner := *failure.inner
		return &inner
	}
	x := e.locate(err)
	switch stop := c.ctx.Err(); {
	case c.outOfSteps:
		x.Msg = fmt.Sprintf("stopped after %s steps: an endless loop?", thousands(e.limits.Steps))
		x.cause = ErrSteps
	case stop != nil && (errors.Is(err, stop) || strings.HasPrefix(x.Msg, cancelled)):
		detail := x.Msg
		x.Msg = "interrupted"
		if errors.Is(stop, context.DeadlineExceeded) {
			x.Msg = "stopped: no time left"
			if took := time.Since(c.started).Round(time.Second); took > 0 {
				x.Msg = fmt.Sprintf("stopped after %s", took)
			}
		}
		// The error of the builtin that was stopped says what it was doing.
		if !strings.HasPrefix(detail, cancelled) && detail != stop.Error() {
			x.Msg += ": " + detail
		}
		if !errors.Is(err, stop) {
			x.cause = stop
		}
	}
	var h *hinted
	if errors.As(err, &h) && h.hint != "" {
		x.Advice = append(x.Advice, h.hint)
	}
	e.hint(x)
	return x
}

// locate finds the position of an error.
func (e *Engine) locate(err error) *Error {
	x := &Error{Msg: err.Error(), cause: err}
	var (
		syntaxErr  syntax.Error
		resolveErr resolve.ErrorList
		evalErr    *starlark.EvalError
		panicked   *panicError
	)
	switch {
	case errors.As(err, &evalErr):
		x.Msg = evalErr.Msg
		x.trace = evalErr.Backtrace()
		x.Pos = position(evalErr)
		e.fromItem(x, err)
	case errors.As(err, &syntaxErr):
		x.Pos, x.Msg = syntaxErr.Pos, syntaxErr.Msg
		moveToTokenStart(x, e.line(x.Pos))
	case errors.As(err, &resolveErr):
		// The resolver reports functions first. People read from the top.
		slices.SortStableFunc(resolveErr, func(a, b resolve.Error) int {
			return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
		})
		x.Pos, x.Msg = resolveErr[0].Pos, resolveErr[0].Msg
		others := resolveErr[1:]
		if len(others) > maxOthers {
			x.omitted = len(others) - maxOthers
			others = others[:maxOthers]
		}
		for _, other := range others {
			o := &Error{Pos: other.Pos, Msg: other.Msg, cause: other}
			e.excerpt(o)
			e.hint(o)
			x.Others = append(x.Others, o)
		}
	case errors.As(err, &panicked):
		x.trace = string(panicked.stack)
	}
	e.excerpt(x)
	return x
}

// fromItem takes position and trace from the item of parallel that failed, because it ran on a
// stack of its own. If a builtin of the host returns an *Error from another call, the position
// stays that of the builtin; the text has the position of the other error.
func (e *Engine) fromItem(x *Error, err error) {
	var inner *Error
	if !errors.As(err, &inner) {
		return
	}
	x.Advice = append(x.Advice, inner.Advice...)
	var failure *parallelError
	if errors.As(err, &failure) && failure.first == error(inner) {
		x.trace += "\nin parallel:\n" + inner.trace
		if inner.Pos.IsValid() {
			x.Pos = inner.Pos
		}
	}
}

// position returns the position of the innermost Starlark frame. If a function could not be
// entered, because of its arguments, it returns the position of the call.
func position(err *starlark.EvalError) syntax.Position {
	var found []syntax.Position
	for i := range err.CallStack {
		if pos := err.CallStack.At(i).Pos; pos.IsValid() && pos.Filename() != "<builtin>" {
			found = append(found, pos)
		}
	}
	switch {
	case len(found) == 0:
		return syntax.Position{}
	case len(found) > 1 && found[0] == err.CallStack.At(0).Pos && wrongCall.MatchString(err.Msg):
		return found[1]
	}
	return found[0]
}

// excerpt fills in the source line of x.
func (e *Engine) excerpt(x *Error) {
	line := e.line(x.Pos)
	if line == "" {
		return
	}
	const window = 100
	text := []rune(line)
	col := min(max(int(x.Pos.Col)-1, 0), len(text))
	// Of a very long line, only the part around the column.
	if from := col - window/2; len(text) > window && from > 0 {
		text, col = text[from:], col-from
	}
	text = text[:min(len(text), window)]
	caret := make([]rune, min(col, len(text)))
	for i, r := range text {
		// The file may contain escape codes, which must not reach the terminal.
		if r != '\t' && !unicode.IsPrint(r) {
			text[i] = '\ufffd'
		}
		if i < len(caret) {
			caret[i] = ' '
			if r == '\t' {
				caret[i] = '\t'
			}
		}
	}
	x.Excerpt = string(text) + "\n" + string(caret) + "^"
}

// line returns the source line at pos, "" if it isn't known.
func (e *Engine) line(pos syntax.Position) string {
	if !pos.IsValid() {
		return ""
	}
	m := e.module(pos.Filename())
	if m == nil || pos.Line < 1 || int(pos.Line) > len(m.lines) {
		return ""
	}
	return m.lines[pos.Line-1]
}

// thousands prints 50000000 as 50,000,000.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
