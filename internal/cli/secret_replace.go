package cli

import (
	"context"
	"errors"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// replacement is a secret that is about to take the place of another one in a file.
type replacement struct {
	at    repoedit.Place
	open  func() (secrets.Value, error) // the old one
	live  liveSecret
	value secrets.Value
}

// tell says how the new secret stands to the live one. Where the old one is live, as far
// as anybody here can know, no file has it any more: a person on a terminal is asked.
func (r replacement) tell(ctx context.Context, proc *Process, root repoedit.Repository) error {
	if r.live.agrees || r.live.none || !r.takesLive(proc, root) {
		r.live.tell(proc)
		return nil
	}
	what, mask := "may be the live secret", ""
	if r.live.known && secrets.IsMask(r.live.mask) {
		what, mask = "is the live secret", " ("+r.live.mask+")"
	}
	out := newPage(proc)
	out.paragraph(repoedit.Dotted(r.at.Path) + " " + what + mask + ": this one will replace it, and no file has it any more: there is no way back.")
	if r.at.Binding.Field == providers.ClientSecret {
		out.folded("", "To have both", "rotate", "add", r.at.Connection)
	}
	if err := out.print(proc.Stderr); err != nil || !proc.Terminals.Stdin || !proc.Terminals.Stderr {
		return err
	}
	return confirm(ctx, proc, "Is it to be replaced? Type yes: ")
}

// takesLive tells whether the old secret can be the live one: as its last characters say
// where it opens, else as its turn is.
func (r replacement) takesLive(proc *Process, root repoedit.Repository) bool {
	old, err := r.open()
	var misbound *secrets.MisboundError
	switch {
	case err == nil && secrets.IsMask(r.live.mask) && secrets.Mask(old) != "":
		agrees, _ := secrets.MaskAgrees(old, r.live.mask)
		return agrees
	case err == nil && old.Equal(r.value), errors.Is(err, secrets.ErrMasked), errors.As(err, &misbound):
		return false
	}
	_, c, err := root.Connection(r.at.File)
	if err != nil || r.at.Binding.Field != providers.ClientSecret {
		return err == nil
	}
	return reconcile.KeysOf(c).Due(proc.Now()) == max(1, repoedit.KeyOf(r.at.Path))
}
