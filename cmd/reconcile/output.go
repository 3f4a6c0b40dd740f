package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// write prints the report where and how the flags say.
func (f *runFlags) write(env *environment, r report.Report) error {
	if f.out == "" {
		return f.print(env, env.Stdout, r, f.format)
	}
	var b bytes.Buffer
	if err := f.print(env, &b, r, f.format); err != nil {
		return err
	}
	if err := os.WriteFile(f.out, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// notBegun gives err, of a run that could not begin. Who asked for a document or a
// file finds it there as well, and not what an earlier run has left.
func (f *runFlags) notBegun(env *environment, mode report.Mode, err error) error {
	if f.format == "text" && f.out == "" {
		return err
	}
	r := report.New(mode, "", env.Now())
	r.Error = err.Error()
	r.Finish(env.Now())
	env.asked.completeReport(&r)
	return errors.Join(err, f.write(env, r))
}

func (f *runFlags) print(env *environment, w io.Writer, r report.Report, format string) error {
	var err error
	switch format {
	case "json":
		err = report.JSON(w, r)
	case "markdown":
		err = report.Markdown(w, r)
	case "html":
		err = report.HTML(w, r)
	default:
		err = report.Text(w, r, report.TextOptions{Color: env.colour(w), Width: width})
	}
	if err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// colour tells whether a stream is a terminal of somebody who wants colours.
func (e *environment) colour(stream io.Writer) bool {
	return e.IsTerminal(stream) && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}
