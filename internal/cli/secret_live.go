package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// liveSecret is how a secret stands to the one that is live at Terra: as far as the mask of
// a client secret tells, and where Terra compared the two, for sure.
type liveSecret struct {
	mask   string
	known  bool // they could be compared
	agrees bool
	asked  bool // Terra compared them
	none   bool // Terra says that there is none
}

// lookLive asks Terra. Where there is no token, no own app or no answer nothing is known:
// the secret is sealed all the same. It is an error that Terra may have taken it.
func lookLive(ctx context.Context, proc *Process, runner config.Config, at secrets.Binding, value secrets.Value) (liveSecret, error) {
	return liveLook(proc, runner)(ctx, at, value)
}

// liveLook is [lookLive] for several secrets.
func liveLook(proc *Process, runner config.Config) func(context.Context, secrets.Binding, secrets.Value) (liveSecret, error) {
	look := &terraLook{proc: proc, config: runner}
	clients := newClients(runner, terra.Options{Transport: terra.NewTransport(), Limits: terra.NewLimits(), Version: proc.Version, ReadOnly: true})
	sources := map[string][]terra.Source{} // by dev-id
	return func(ctx context.Context, at secrets.Binding, value secrets.Value) (liveSecret, error) {
		if !look.atHand(at.Account) {
			return liveSecret{}, nil
		}
		client, err := clients(at.Account, at.DevID)
		if err != nil {
			return liveSecret{}, nil
		}
		reading, cancel := context.WithTimeout(ctx, lookDeadline)
		defer cancel()
		live, err := client.GetCredentials(reading, at.DevID, at.Provider)
		if err != nil || live.Credential == nil {
			return liveSecret{none: err == nil}, nil
		}
		out, patch := liveSecret{}, terra.CredentialPatch{ClientSecret: value}
		switch mask := live.Credential.SecretMask; {
		case at.Field != providers.ClientSecret: // Terra shows nothing of it
			if out.none = !live.Credential.HasVerificationSecret; out.none {
				return out, nil
			}
			patch = terra.CredentialPatch{VerificationSecret: terra.To(value)}
		case mask == nil:
			return out, nil
		default:
			out.mask = *mask
			if out.agrees, out.known = secrets.MaskAgrees(value, out.mask); out.known && !out.agrees {
				return out, nil
			}
		}
		if _, isRead := sources[at.DevID]; !isRead {
			sources[at.DevID], _ = client.ListSources(reading, at.DevID) // without them Terra is not asked
		}
		equal, asked, err := askWhetherLive(ctx, client, at, sources[at.DevID], live.Credential.ClientID, patch)
		if asked {
			out.known, out.asked, out.agrees = true, true, equal
		}
		return out, err
	}
}

// askWhetherLive lets Terra compare the secret of a patch with the live one, by a dry run. asked is
// false where it does not tell. A question that has left is waited for, for its answer says
// whether it was a write.
func askWhetherLive(ctx context.Context, client *terra.Client, at secrets.Binding, sources []terra.Source, clientID string, patch terra.CredentialPatch) (equal, asked bool, err error) {
	for _, s := range sources {
		if !strings.EqualFold(s.Provider, at.Provider) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookDeadline)
		defer cancel()
		if client.ProveDryRun(ctx, at.DevID, s) != nil {
			return false, false, nil
		}
		equal, err := client.CompareCredentials(ctx, at.DevID, at.Provider, clientID, patch)
		if errors.As(err, new(*terra.MayHaveWrittenError)) {
			return false, false, &exitError{report.ExitFailed, fmt.Errorf("%w; nothing was changed in the files", err)}
		}
		return equal, err == nil, nil
	}
	return false, false, nil
}

// differs says of a secret that is not the live one that it is not.
func (l liveSecret) differs() string {
	switch {
	case !l.asked:
		return "this is not the live secret: the one at Terra is " + l.mask
	case secrets.IsMask(l.mask):
		return "this is not the live secret, although that one ends like it (" + l.mask + ")"
	}
	return "this is not the live secret: Terra would change it"
}

// tell says whether it can be the live one.
func (l liveSecret) tell(proc *Process) {
	switch {
	case l.agrees && l.asked:
		_, _ = fmt.Fprintln(proc.Stderr, "This is the live secret at Terra.")
	case l.agrees:
		_, _ = fmt.Fprintf(proc.Stderr, "The live secret at Terra ends like this one (%s).\n", l.mask)
	case l.known:
		_, _ = fmt.Fprintf(proc.Stderr, "T%s.\n", strings.TrimPrefix(l.differs(), "t"))
	}
}
