package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSecretEditCommand(proc *Process) *cobra.Command {
	configFile, yesNew := "", false
	cmd := &cobra.Command{
		Use:   "edit FILE",
		Short: "Change the sealed secrets of a connection file in an editor",
		Long: `Change the sealed secrets of a connection file in an editor.

It opens all secrets of FILE in $VISUAL or $EDITOR, one a line, in a file that
only you can read. That is in memory where the machine has such a folder
(XDG_RUNTIME_DIR or /dev/shm), and is overwritten and removed in the end. What
you changed is sealed again, for the recipients that terra.yaml names and for
the place where it stands; every other byte of FILE stays. What cannot be a
secret is shown to you again, with the reason; on saving that as it is, on an
error of the editor and on an empty file nothing changes.

It needs a private key that opens the secrets. Some editors keep copies of their
own, which this command does not know of: with vim, EDITOR="vim -ni NONE".`,
		Example: `  reconcile secret edit production/strava.yaml
  EDITOR="vim -ni NONE" reconcile secret edit production/strava.yaml`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return editSecrets(cmd.Context(), proc, args[0], configFile, yesNew)
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "take identities and allowed plugins from this `daemon.yaml`")
	addYesNew(cmd, &yesNew)
	return cmd
}

// secretEdit is the secrets of one file while they are edited.
type secretEdit struct {
	proc       *Process
	runner     config.Config
	repository repoedit.Repository
	connection spec.Connection
	held       []repoedit.Held
	values     []secrets.Value // of each held one, as it was opened
}

func editSecrets(ctx context.Context, proc *Process, name, configFile string, yesNew bool) error {
	editor := proc.Getenv("VISUAL")
	if editor == "" {
		editor = proc.Getenv("EDITOR")
	}
	if editor == "" {
		return usageError("edit secrets: no editor is known; set EDITOR, such as EDITOR=vi")
	}
	repository, err := openRepository(name)
	if err != nil {
		return fmt.Errorf("edit secrets: %w", err)
	}
	e := &secretEdit{proc: proc, repository: repository}
	if e.connection, e.held, err = repository.Held(name); err != nil {
		return err
	}
	if keys := e.connection.Credentials.Keys; len(e.held) == 0 && len(keys) > 0 {
		return advice.With(fmt.Errorf("%s: it holds no sealed secret, only `unknown: true`", e.connection.File), "seal one as a new key after it", "rotate", "add", path.Dir(e.connection.File)+"/"+e.connection.Provider)
	} else if len(e.held) == 0 {
		return advice.With(fmt.Errorf("%s: it holds no sealed secret", e.connection.File), "seal one", repository.SealCommand(e.connection.File, repoedit.ClientSecret, 0)...)
	}
	if e.runner, err = runnerConfig(proc, configFile); err != nil {
		return err
	}
	if err := e.open(); err != nil {
		return err
	}
	readers, err := repository.Readers(e.connection.File, e.runner.Identities.AllowPlugins)
	if err != nil {
		return err
	}
	if err := confirmReaders(ctx, proc, yesNew, readers); err != nil {
		return err
	}
	changed, err := e.edit(ctx, editor)
	if err != nil {
		return err
	}
	return e.seal(ctx, changed, readers.Recipients)
}

// open opens every secret of the file, or none.
func (e *secretEdit) open() error {
	ids, err := identities(e.runner.Identities)()
	if err != nil {
		return err
	}
	for _, at := range e.held {
		sealed, err := secrets.Parse(at.Armor)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", at.Origin, repoedit.Dotted(at.Path), err)
		}
		value, _, err := ids.Open(sealed, at.Binding, e.repository.Set.Root.AllowPlain)
		if err != nil {
			err = secrets.InFile(err, e.repository.Typed(at.Origin.File), e.repository.Original(spec.Secret{Armor: at.Armor, Origin: at.Origin}))
			if err = fmt.Errorf("%s: open %s: %w", at.Origin, repoedit.Dotted(at.Path), err); errors.Is(err, secrets.ErrNoIdentity) && !ids.HasAny() {
				return fmt.Errorf("%w; set RECONCILE_AGE_KEY_FILE", err)
			}
			return err
		}
		e.values = append(e.values, value)
	}
	return nil
}

// edit lets a person change the secrets, until they can be sealed or the person gives up,
// and gives the new ones by their place among the held ones.
func (e *secretEdit) edit(ctx context.Context, editor string) (changed map[int]secrets.Value, err error) {
	ctx, typing, stop := guardSignals(ctx, e.proc.Terminals.Stdin)
	defer stop()
	file, err := newPrivateFile(e.proc)
	if err != nil {
		return nil, fmt.Errorf("edit secrets: %w", err)
	}
	defer func() {
		if wrong := file.wipe(); wrong != nil {
			err = errors.Join(err, fmt.Errorf("remove %s, which holds secrets: %w; remove it yourself", file.dir, wrong))
		}
	}()
	text := e.text()
	for {
		if err := file.write(text); err != nil {
			return nil, fmt.Errorf("edit secrets: %w", err)
		}
		typing.Store(true)
		err := e.runEditor(ctx, editor, file.name)
		typing.Store(false)
		switch {
		case ctx.Err() != nil:
			return nil, errors.New("interrupted; nothing was changed")
		case err != nil:
			return nil, fmt.Errorf("run the editor: %w; nothing was changed", err)
		}
		after, err := file.read()
		if err != nil {
			return nil, fmt.Errorf("read what was edited: %w; nothing was changed", err)
		}
		changed, wrong := e.parse(after)
		switch {
		case len(wrong) == 0:
			return changed, nil
		case after == text || !e.proc.Terminals.Stdin || !e.proc.Terminals.Stderr || !holdsLine(after):
			return nil, fmt.Errorf("%s: %s; nothing was changed", e.connection.File, wrong[0].says)
		}
		text = marked(after, wrong)
	}
}

const (
	markOfNote  = "#"
	markOfError = "# ! "
)

// text is what the editor shows at first.
func (e *secretEdit) text() string {
	var out strings.Builder
	out.WriteString("# The secrets of " + e.connection.File + ". Change what stands behind the =, save, and leave\n" +
		"# the editor. Leave it as it is, or empty the file, to change nothing.\n")
	for i, at := range e.held {
		out.WriteString(at.Name() + "=" + e.values[i].Reveal() + "\n")
	}
	return out.String()
}

// holdsLine reports whether a text has a line that is no note.
func holdsLine(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, markOfNote) {
			return true
		}
	}
	return false
}

// parse gives the secrets that differ. What is wrong with a line, of 0 with the whole, is
// said without its text.
func (e *secretEdit) parse(text string) (changed map[int]secrets.Value, wrong []lineError) {
	changed = map[int]secrets.Value{}
	if !holdsLine(text) {
		return nil, []lineError{{says: "the file was emptied"}}
	}
	seen, number := map[int]bool{}, 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, markOfNote) {
			continue
		}
		name, typed, found := strings.Cut(line, "=")
		at := slices.IndexFunc(e.held, func(h repoedit.Held) bool { return found && h.Name() == strings.TrimSpace(name) })
		switch {
		case at < 0:
			wrong = append(wrong, lineError{line: number, says: "this line names no secret of the file"})
		case seen[at]:
			wrong = append(wrong, lineError{line: number, says: e.held[at].Name() + " stands here for the second time"})
		default:
			seen[at] = true
			value := secrets.NewValue([]byte(typed))
			if value.Equal(e.values[at]) {
				continue
			}
			h := e.held[at]
			if err := checkSecret(e.proc, e.connection.File, h.Name(), h.Binding, e.connection.Credentials.ClientID.Value, value); err != nil {
				says := strings.TrimPrefix(strings.TrimSuffix(err.Error(), "; nothing was changed"), e.connection.File+": ")
				wrong = append(wrong, lineError{line: number, says: says})
				continue
			}
			changed[at] = value
		}
	}
	for i, h := range e.held {
		if !seen[i] {
			wrong = append(wrong, lineError{says: h.Name() + " has no line any more; rotate prune takes a key out of a file"})
		}
	}
	return changed, wrong
}

// marked is a text with what is wrong above each line of it.
func marked(text string, wrong []lineError) string {
	var out strings.Builder
	mark := func(line int) {
		for _, w := range wrong {
			if w.line == line {
				out.WriteString(markOfError + w.says + "\n")
			}
		}
	}
	mark(0)
	number := 0
	for line := range strings.Lines(text) {
		number++
		mark(number)
		if !strings.HasPrefix(line, markOfError) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// runEditor starts the editor, without the tokens and keys of this program, and waits
// until it ends. What is more than words is a shell's, as git has it.
func (e *secretEdit) runEditor(ctx context.Context, editor, name string) error {
	words := strings.Fields(editor)
	if strings.ContainsAny(editor, "|&;<>()$`\\\"'*?[#~=%") || len(words) == 0 {
		words = []string{"sh", "-c", editor + ` "$@"`, "sh"}
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], name)...) //nolint:gosec // the user's own editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.proc.Stdin, e.proc.Stdout, e.proc.Stderr
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "TERRA_") || strings.HasPrefix(pair, "RECONCILE_") || strings.HasPrefix(pair, "SOPS_AGE_")
	})
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	return cmd.Run()
}

// seal puts the changed secrets in the places of the old ones.
func (e *secretEdit) seal(ctx context.Context, changed map[int]secrets.Value, to secrets.Recipients) error {
	if len(changed) == 0 {
		return say(e.proc, tell("Nothing was changed: the secrets are as they were."))
	}
	look, sealing := liveLook(e.proc, e.runner), e.repository.Sealing()
	var names []string
	for i, h := range e.held {
		value, is := changed[i]
		if !is {
			continue
		}
		live, err := look(ctx, h.Binding, value)
		if err != nil {
			return err
		}
		if err := e.tell(ctx, h, e.values[i], value, live); err != nil {
			return err
		}
		if err := sealing.Replace(h, value, to); err != nil {
			return err
		}
		names = append(names, h.Name())
	}
	if err := sealing.Write(); err != nil {
		return err
	}
	return say(e.proc, tell(fmt.Sprintf("Sealed %s in %s for %s.", strings.Join(names, ", "), e.connection.File, visible.Plural(len(to.Strings()), "recipient", "recipients"))),
		tell("Commit "+e.connection.File+" and "+secrets.LockPath+"."))
}

// tell says how a changed secret stands to the live one, and asks where the old one may be
// live.
func (e *secretEdit) tell(ctx context.Context, h repoedit.Held, old, value secrets.Value, live liveSecret) error {
	at, err := e.repository.Place(e.repository.Path(h.Origin.File), h.Binding.Field, repoedit.KeyOf(h.Path))
	if err != nil {
		return err
	}
	opened := func() (secrets.Value, error) { return old, nil }
	return (replacement{at, opened, live, value}).tell(ctx, e.proc, e.repository)
}
