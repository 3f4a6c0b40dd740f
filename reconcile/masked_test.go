package reconcile

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// sealedAnyhow is the client secret of Strava as another tool, or an older version of
// ours, may have sealed it: nobody looked at it.
func (w *world) sealedAnyhow(text string) secrets.Sealed {
	w.t.Helper()
	to, err := age.ParseX25519Recipient(w.recipients.Strings()[0])
	if err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	sealing, err := age.Encrypt(armored, to)
	if err == nil {
		_, err = sealing.Write([]byte("terra-reconcile/1 " + devID + "/strava/client_secret\n" + text))
	}
	if err == nil {
		err = sealing.Close()
	}
	if err == nil {
		err = armored.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := secrets.Parse(out.String())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// overUnknown is Strava with a live secret that no file has and a key over it.
func (w *world) overUnknown(s secrets.Sealed) {
	w.terra.Enable(devID, "strava")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
	w.write("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"123456\"\n  keys:\n    - {unknown: true}\n    - client_secret: !age |\n        "+
		strings.ReplaceAll(strings.TrimSpace(s.Armor()), "\n", "\n        ")+"\n")
}

// expectRefused wants a run that says where the secret stands, what is wrong with it and
// what to type, and leaves what is live.
func (w *world) expectRefused(r report.Report, what string) {
	w.t.Helper()
	said := w.show(r)
	for _, want := range []string{"production/strava.yaml:6: " + what, "secret encrypt production/strava.yaml --key 2"} {
		if !strings.Contains(said, want) {
			w.t.Errorf("got no %q in\n%s", want, said)
		}
	}
	if r.ExitCode == report.ExitDone {
		w.t.Errorf("exit %d", r.ExitCode)
	}
	w.expectLive(secretA)
}

// TestMaskThatWasSealedIsNeverSent: the mask of the live secret, and that of a former
// one, with which the plan would be a rotation.
func TestMaskThatWasSealedIsNeverSent(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{secrets.Mask(secrets.NewValue([]byte(secretA))), "****beef"} {
		w := newWorld(t)
		w.overUnknown(w.sealedAnyhow(mask))
		for _, r := range []report.Report{w.dryRun(), w.apply(), w.apply()} {
			w.expectRefused(r, "open client_secret: secret is a mask")
		}
	}
}

// TestMaskThatALaxerVersionOpenedIsNeverPlanned: the state remembers its digest, as of a
// secret with which nothing was wrong.
func TestMaskThatALaxerVersionOpenedIsNeverPlanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	mask := w.sealedAnyhow("****beef")
	w.overUnknown(mask)
	w.inState(func(store *state.Store) error {
		at := sealedSecret{sealed: mask, binding: secrets.Binding{Account: secrets.DefaultAccount, DevID: devID, Provider: "strava", Field: "client_secret"}}
		return store.SaveDigests(w.now, map[string]state.Digest{cacheKey(at, false): {Value: "hmac-sha256:00", Mask: "hmac-sha256:00"}})
	})
	for _, r := range []report.Report{w.dryRun(), w.apply()} {
		w.expectRefused(r, "open client_secret: secret is a mask")
	}
}

// TestPlaceholderThatWasSealedIsNeverSent, as `secret encrypt` refuses to seal one.
func TestPlaceholderThatWasSealedIsNeverSent(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"changeme", "$STRAVA_SECRET", "xxxx1234", "REDACTED"} {
		w := newWorld(t)
		w.overUnknown(w.sealedAnyhow(text))
		for _, r := range []report.Report{w.dryRun(), w.apply(), w.apply()} {
			if said := w.show(r); !strings.Contains(said, "production/strava.yaml:6: Strava client_secret is a placeholder, not a secret") || r.ExitCode == report.ExitDone {
				t.Errorf("%s: exit %d\n%s", text, r.ExitCode, said)
			}
			w.expectLive(secretA)
		}
	}
}

// TestClientIDAsSecretIsNotSent, also where its digest alone is known.
func TestClientIDAsSecretIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.overUnknown(w.sealedAnyhow("123456"))
	for _, r := range []report.Report{w.dryRun(), w.apply(), w.apply()} {
		w.expectRefused(r, "client_secret is the client id of this connection, not its secret")
	}
	w.write("production/strava.yaml", strings.Replace(string(w.files["production/strava.yaml"].Data), "\"123456\"", "\"654321\"", 1))
	if said := w.show(w.dryRun()); strings.Contains(said, "is the client id") {
		t.Errorf("under another client id got\n%s", said)
	}
}

// TestSealingCommandNamesThePlace: the field where it is another one, the key where
// there are several.
func TestSealingCommandNamesThePlace(t *testing.T) {
	t.Parallel()
	first, second := spec.Origin{File: "production/polar.yaml", Line: 5}, spec.Origin{File: "production/polar.yaml", Line: 9}
	c := &Connection{File: &spec.Connection{}}
	c.File.Credentials.Keys = []spec.Key{{Secret: spec.Secret{Origin: first}}}
	for _, row := range []struct{ got, want string }{
		{c.sealing(first, "client_secret").String(), "reconcile secret encrypt production/polar.yaml"},
		{c.sealing(second, "verification_secret").String(), "reconcile secret encrypt production/polar.yaml --field verification_secret"},
	} {
		if row.got != row.want {
			t.Errorf("got %q, want %q", row.got, row.want)
		}
	}
	c.File.Credentials.Keys = append(c.File.Credentials.Keys, spec.Key{Secret: spec.Secret{Origin: second}})
	if got, want := c.sealing(second, "client_secret").String(), "reconcile secret encrypt production/polar.yaml --key 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
