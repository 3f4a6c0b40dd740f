package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
)

// errNoAnswer says that the input ended in the place of an answer.
var errNoAnswer = errors.New("no answer came; nothing was changed")

// questions are asked one after the other of who sits at the terminal.
type questions struct {
	proc *Process
	in   *bufio.Reader
}

func newQuestions(proc *Process) questions { return questions{proc, bufio.NewReader(proc.Stdin)} }

// ask gives the line that answers a question, without white space around it. The error is
// errNoAnswer at the end of the input, or says that the command was interrupted.
func (q questions) ask(ctx context.Context, question string) (string, error) {
	_, _ = fmt.Fprint(q.proc.Stderr, question)
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		line, err := q.in.ReadString('\n')
		answered <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(q.proc.Stderr)
		return "", errors.New("interrupted; nothing was changed")
	case a := <-answered:
		if a.err != nil {
			_, _ = fmt.Fprintln(q.proc.Stderr)
			return "", errNoAnswer
		}
		return a.line, nil
	}
}

// confirm asks, and returns an error unless the answer is yes. An interrupt is
// an answer too.
func confirm(ctx context.Context, proc *Process, question string) error {
	answer, err := newQuestions(proc).ask(ctx, question)
	if err != nil && !errors.Is(err, errNoAnswer) {
		return err
	}
	if answer != "yes" {
		return errors.New("nothing was changed: the answer was not yes")
	}
	return nil
}
