package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/preview"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// previewToken holds the token of previews.
const previewToken = "RECONCILE_PREVIEW_TOKEN"

// largestCAFile bounds what is read of --ca-file.
const largestCAFile = 1 << 20

// previewFlags are those of reconcile preview.
type previewFlags struct {
	url, repo, ref, commit, format, out, tokenFile, caFile string
	environments                                           []string
}

func newPreviewCommand(proc *Process) *cobra.Command {
	f := &previewFlags{}
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Have the daemon plan a branch, as for a pull request",
		Long: `Have the daemon plan a branch, without any credential of Terra here: a dry run
of its newest commit, with the daemon's accounts, identities and memory. Nothing
is written, no provider is asked, and nothing can be approved by it.

The daemon needs "preview" in its daemon.yaml. Both know a token, which signs
the request and is not sent; here it is in ` + previewToken + ` or
--token-file. A branch is named as git does; a pull request, such as
refs/pull/7/head, is planned only where daemon.yaml has "forks: true". With
--commit it must still be the newest. Exit codes are those of a dry run.`,
		Example: `  reconcile preview --url https://daemon.example --ref topic
  reconcile preview --url http://127.0.0.1:8080 --ref topic -o markdown
  reconcile preview --url https://daemon.example --ref topic --ca-file ca.pem`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, proc) },
	}
	p := cmd.Flags()
	p.StringVar(&f.url, "url", "", "`address` of the daemon: https, or http on this machine")
	p.StringVar(&f.repo, "repo", "", "`name` of the repository, where the daemon follows several")
	p.StringVar(&f.ref, "ref", "", "`branch` to plan, or the full name of a pull request's ref")
	p.StringVar(&f.commit, "commit", "", "`hash` of the commit that it has to be at, with 40 digits")
	p.StringArrayVar(&f.environments, "env", nil, "only this environment, by its `name` (may repeat)")
	p.VarP(choice{&f.format, preview.Formats()}, "output", "o", "`format`: text, json, markdown or html (default: as --out ends, else text)")
	p.StringVar(&f.out, "out", "", "write the report to this `file`, not to standard output")
	p.StringVar(&f.tokenFile, "token-file", "", "`file` of the token (default: "+previewToken+")")
	p.StringVar(&f.caFile, "ca-file", "", "`file` of the certificates that the daemon's is trusted by, as PEM (default: the system's)")
	require(cmd, "url", "ref")
	return cmd
}

func (f *previewFlags) run(cmd *cobra.Command, proc *Process) error {
	ref, err := preview.FullRef(f.ref)
	if err != nil {
		return usageError("--ref %w", err)
	}
	format := cmp.Or(f.format, formatOf(f.out))
	request := preview.Request{Ref: ref, Commit: f.commit, Environments: f.environments, Format: format}
	if err := request.Check(); err != nil {
		return usageError("preview: %w", err)
	}
	if f.out != "" {
		if err := refuseState(f.out); err != nil {
			return usageError("--out %w", err)
		}
	}
	result, err := f.ask(cmd, proc, request)
	if err == nil && result.Error != "" && result.Document == "" {
		err = fmt.Errorf("preview %s: %s", visible.Text(f.ref), result.Error)
	}
	if err != nil {
		return errors.Join(err, f.notBegun(proc, request, err))
	}
	if result.Error != "" && format == "text" && f.out == "" {
		return &exitError{exitFailed, fmt.Errorf("preview %s: %s", visible.Text(f.ref), result.Error)}
	}
	if err := f.write(proc, result.Document); err != nil {
		return err
	}
	switch {
	case result.Error != "":
		return &exitError{exitFailed, fmt.Errorf("preview %s: %s", visible.Text(f.ref), result.Error)}
	case result.ExitCode < exitOK || result.ExitCode > report.ExitFailed:
		return &exitError{exitFailed, fmt.Errorf("preview %s: the daemon answers with exit code %d, which a dry run does not have", visible.Text(f.ref), result.ExitCode)}
	case result.ExitCode != exitOK:
		return &exitError{code: result.ExitCode}
	}
	return nil
}

// ask asks the daemon, and shows on a terminal how far it is.
func (f *previewFlags) ask(cmd *cobra.Command, proc *Process, request preview.Request) (preview.Result, error) {
	token := config.EnvSecret(previewToken, proc.Getenv)
	if f.tokenFile != "" {
		token = config.FileSecret(f.tokenFile)
	}
	key, err := config.Preview{Token: token}.Key()
	if err != nil {
		return preview.Result{}, err
	}
	var issuers []byte
	if f.caFile != "" {
		if issuers, err = readBounded(f.caFile, largestCAFile); err != nil {
			return preview.Result{}, fmt.Errorf("read --ca-file: %w", err)
		}
	}
	client, err := preview.NewClient(f.url, url.PathEscape(f.repo), key, issuers, proc.Now)
	if err != nil {
		return preview.Result{}, usageError("--url %w", err)
	}
	shown := newProgress(proc)
	defer shown.clear()
	return client.Preview(cmd.Context(), request, func(p preview.Progress) {
		if p.Total > 0 {
			shown.show(reconcile.Progress(p))
		}
	})
}

// notBegun leaves why there is no preview where a document was asked for.
func (f *previewFlags) notBegun(proc *Process, request preview.Request, err error) error {
	if f.out == "" && request.Format == "text" || errors.As(err, new(*exitError)) {
		return nil
	}
	r := report.New(report.DryRun, "", proc.Now())
	r.PreviewOf, r.Error = request.Ref, err.Error()
	r.Finish(proc.Now())
	flags := &runFlags{format: request.Format}
	if f.out != "" {
		flags.out = []string{f.out}
	}
	return flags.write(proc, r)
}

func (f *previewFlags) write(proc *Process, document string) error {
	if f.out == "" {
		_, err := io.WriteString(proc.Stdout, document)
		return err
	}
	if err := replaceFile(f.out, []byte(document)); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if proc.Terminals.Stderr {
		_, _ = fmt.Fprintf(proc.Stderr, "Written to %s.\n", visible.Text(f.out))
	}
	return nil
}

// readBounded reads a file that has no more than so many bytes.
func readBounded(name string, most int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes; is it the right file?", name, most)
	}
	return text, err
}
