package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// errMissed says that a limit was missed; the table has said which.
var errMissed = errors.New("a limit was missed")

// figure is one measured number beside the best one that is possible, or that is
// aimed at.
type figure struct {
	name            string
	measured, ideal float64
	unit            string
	limit           float64 // of measured / ideal; 0: only an aim
	atLeast         bool    // the limit is the smallest ratio, not the largest
}

func (f figure) ratio() float64 { return f.measured / f.ideal }

// verdict is what stands in the last column, and whether a limit is missed. What
// cannot be divided is never within a limit.
func (f figure) verdict() (word string, missed bool) {
	within := f.ratio() <= f.limit
	if f.atLeast {
		within = f.ratio() >= f.limit
	}
	switch {
	case f.limit == 0 && f.ratio() <= 1, f.limit > 0 && within:
		return "ok", false
	case f.limit == 0:
		return "over the aim", false
	default:
		return "MISSED", true
	}
}

func (f figure) limitText() string {
	switch {
	case f.limit == 0:
		return "aim"
	case f.atLeast:
		return fmt.Sprintf(">= %gx", f.limit)
	default:
		return fmt.Sprintf("<= %gx", f.limit)
	}
}

// printTable prints the figures and returns errMissed when a limit is missed.
func printTable(w io.Writer, figures []figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{"name\tmeasured\tideal\tratio\tlimit\tok"}
	var err error
	for _, f := range figures {
		word, missed := f.verdict()
		if missed {
			err = errMissed
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%.2f\t%s\t%s",
			f.name, number(f.measured, f.unit), number(f.ideal, f.unit), f.ratio(), f.limitText(), word))
	}
	for _, line := range lines {
		if _, e := fmt.Fprintln(t, line); e != nil {
			return fmt.Errorf("print table: %w", e)
		}
	}
	if e := t.Flush(); e != nil {
		return fmt.Errorf("print table: %w", e)
	}
	return err
}

func number(v float64, unit string) string {
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
}
