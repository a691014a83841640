package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// onTerminal reports whether a person can answer.
func onTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

// ask asks a question. Anything but yes means no, and so does the end of the input. The first
// signal cancels the question.
func (v *supervised) ask(question string) (yes bool, err error) {
	if _, err := fmt.Fprintf(v.setup.stderr, "%s Only \"yes\" is accepted: ", question); err != nil {
		return false, &untriedError{err}
	}
	type read struct {
		text string
		err  error
	}
	answer := make(chan read, 1)
	go func() {
		text, err := bufio.NewReader(os.Stdin).ReadString('\n')
		answer <- read{text, err}
	}()
	select {
	case <-v.ctx.Done():
		_, err := fmt.Fprintln(v.setup.stderr) // end the line of the question
		return false, errors.Join(context.Canceled, err)
	case a := <-answer:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return false, &untriedError{fmt.Errorf("the answer can't be read: %w", a.err)}
		}
		return strings.TrimSpace(a.text) == "yes", nil
	}
}

// confirm asks before something is restored. If the answer is no, it says what stays unchanged.
func (v *supervised) confirm(question string) (yes bool, err error) {
	if yes, err := v.ask(question); yes || err != nil {
		return yes, err
	}
	v.setup.log.Warn("nothing was done, what is pending stays so; to do it: " + v.setup.again)
	return false, outcomeError(exitPending)
}
