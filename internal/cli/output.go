package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// write prints the report where and how the flags say: into each file in the format
// that was named, else in its own. A file that cannot be written keeps it out of no other.
func (f *runFlags) write(proc *Process, r report.Report) error {
	if len(f.out) == 0 {
		return f.print(proc, proc.Stdout, r, cmp.Or(f.format, "text"))
	}
	var failed []error
	for _, file := range f.out {
		var b bytes.Buffer
		if err := f.print(proc, &b, r, cmp.Or(f.format, formatOf(file))); err != nil {
			return err
		}
		if err := replaceFile(file, b.Bytes()); err != nil {
			failed = append(failed, fmt.Errorf("write report: %w", err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if proc.Terminals.Stderr { // a person would else see nothing
		_, _ = fmt.Fprintf(proc.Stderr, "Written to %s; exit code %d.\n", visible.Text(strings.Join(f.out, " and ")), f.code(r))
	}
	return nil
}

// refuseState keeps a report out of the state folder, where it could take the place of what
// is remembered.
func refuseState(path string) error {
	if state.IsPlace(path) {
		return fmt.Errorf("%s is in the folder of the state; write the report to another folder", path)
	}
	return nil
}

// replaceFile puts data where a path leads, whole or not at all and for its owner alone.
// It follows no link, and writes to nothing but a file: what somebody else has put in its
// place is not written to.
func replaceFile(path string, data []byte) error {
	if err := refuseState(path); err != nil {
		return err
	}
	if there, err := os.Lstat(path); err == nil && !there.Mode().IsRegular() {
		what := "a pipe, a socket or a device"
		switch there.Mode().Type() {
		case fs.ModeSymlink:
			what = "a link, which is not followed"
		case fs.ModeDir:
			what = "a folder"
		}
		return fmt.Errorf("%s is %s; name a file, or leave --out away to write to the standard output", path, what)
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = fresh.Write(data)
	if err = errors.Join(err, fresh.Sync(), fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh.Name()))
	}
	return nil
}

// notBegun gives err, of a run that could not begin. Who asked for a document or a
// file finds it there as well, and not what an earlier run has left.
func (f *runFlags) notBegun(proc *Process, mode report.Mode, err error) error {
	if cmp.Or(f.format, "text") == "text" && len(f.out) == 0 {
		return err
	}
	r := report.New(mode, "", proc.Now())
	r.Error = err.Error()
	r.Finish(proc.Now())
	proc.asked.completeReport(&r)
	return errors.Join(err, f.write(proc, r))
}

func (f *runFlags) print(proc *Process, w io.Writer, r report.Report, format string) error {
	var err error
	switch format {
	case "json":
		err = report.JSON(w, r)
	case "markdown":
		err = report.Markdown(w, r)
	case "html":
		err = report.HTML(w, r)
	default:
		err = report.Text(w, r, report.TextOptions{Color: proc.colour(w), Width: width, Verbose: f.verbose, Explain: f.explain, Outcomes: f.outcomes, Apply: f.applying(proc, r), Look: f.looking(proc)})
	}
	if err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// applying is the command line that applies what a dry run shows. What is not committed
// is not applied, and who is asked next needs none.
func (f *runFlags) applying(proc *Process, r report.Report) string {
	if !f.dryRun || r.Commit == "worktree" || r.NotUsed != "" {
		return ""
	}
	switch r.StateLock { // nobody else can apply
	case report.LockedByObserver:
		return ""
	case report.LockedByDaemon:
		words := plan.Command{"now"}
		if len(r.Environments) == 1 {
			words = append(words, r.Environments[0].Name)
		}
		return proc.asked.command(words).String()
	}
	const anyFlag = "--yes" // so that the command is completed
	words := proc.asked.command(append(f.chosen(), anyFlag))
	return cmp.Or(words[:len(words)-1].String(), "reconcile")
}

// looking is the command line of a dry run of the same.
func (f *runFlags) looking(proc *Process) string {
	return proc.asked.command(append(plan.Command{"--dry-run"}, f.chosen()...)).String()
}

// chosen are the words that choose environments and connections.
func (f *runFlags) chosen() plan.Command {
	var words plan.Command
	for _, name := range f.environments {
		words = append(words, "--env", name)
	}
	for _, name := range f.only {
		words = append(words, "--only", name)
	}
	return words
}

// colour tells whether a stream is a terminal of somebody who wants colours.
func (e *Process) colour(stream io.Writer) bool {
	return stream == e.Stdout && e.Terminals.Stdout && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}

// printJSON prints a document, in which what a terminal could take for a command
// stands as a \u escape.
func printJSON[T any](w io.Writer, document T) error {
	encoder := json.NewEncoder(escaping{w})
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}
