package cli

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// whoopWith writes WHOOP with keys that are due at these times, each issued in
// October; "" is one that was set by hand.
func (b *bench) whoopWith(notBefore ...string) {
	b.t.Helper()
	text := "provider: whoop\ncredentials:\n  client_id: 0f8fad5b-d9cb-469f-a165-70867728950e\n  keys: # oldest first\n"
	for _, when := range notBefore {
		if when == "" {
			text += "    - {unknown: true} # by hand\n"
			continue
		}
		text += "    - issued: 2026-10-01\n      not_before: " + when + "\n      client_secret: !age |\n" + b.sealedWhoop(len(text))
	}
	b.write("production/whoop.yaml", text)
}

// sealedWhoop is a sealed secret as lines of a block.
func (b *bench) sealedWhoop(n int) string {
	b.t.Helper()
	recipients, err := secrets.ParseRecipients([]string{b.public}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := secrets.Seal(secrets.NewValue([]byte(newSecret(n))), whoopSecret(), recipients)
	if err != nil {
		b.t.Fatal(err)
	}
	return "        " + strings.ReplaceAll(strings.TrimSpace(s.Armor()), "\n", "\n        ") + "\n"
}

func whoopSecret() secrets.Binding {
	return secrets.Binding{Account: secrets.DefaultAccount, DevID: "prod-x", Provider: "whoop", Field: "client_secret"}
}

// Without a state it is assumed, and said, that the key that is due is live.
func TestRotatePruneWithoutState(t *testing.T) {
	b := newBench(t) // it is 23 Nov 2026, 09:00
	b.whoopWith("", "2026-11-01", "2026-11-10", "2026-12-01")
	const why = "it is assumed that key 3 is live, because it is due: no state folder is known (--state or RECONCILE_STATE_DIR names it)"
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"prune", "production/whoop"}, exitUsage, "name the keys with --key; key 1 could be removed: " + why},
		{[]string{"prune", "production/whoop", "--key", "1,2"}, exitFailed, "production/whoop.yaml: key 2 may still be needed; key 1 could be removed: " + why},
		{[]string{"prune", "production/whoop", "--key", "4"}, exitFailed, "key 4 may still be needed"},
		{[]string{"prune", "production/whoop", "--key", "0"}, exitFailed, "key 0 may still be needed"},
		{[]string{"prune", "production/strava", "--key", "1"}, exitFailed, "key 1 may still be needed; none could be removed: no key is due"},
		{[]string{"prune", "production/whoop", "--key", "1", "--state", b.at("terra.yaml")}, exitFailed, "terra.yaml"},
		{[]string{"prune"}, exitUsage, "missing: CONNECTION"},
	} {
		if code := b.rotate("", c.args...); code != c.code || !strings.Contains(b.errText, c.want) || b.outText != "" {
			t.Errorf("%q: got exit %d, %q, want %d, %q", c.args, code, b.errText, c.code, c.want)
		}
	}
	before := b.read("production/whoop.yaml")
	out := b.mustRotate("", "prune", "production/whoop", "--key", "1")
	if want := "Removed key 1 of production/whoop.\nIt is assumed that key 3 is live, because it is due: no state folder is known\n(--state or RECONCILE_STATE_DIR names it).\nCommit production/whoop.yaml and .reconcile/recipients.lock.\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if got, want := b.read("production/whoop.yaml"), strings.Replace(before, "    - {unknown: true} # by hand\n", "", 1); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, soaking := range []string{"not_before: 2026-11-23T08:00:00Z", "not_before: 2026-11-10\n      issued: 2026-11-23"} {
		text := strings.Replace(strings.Replace(before, "      not_before: 2026-11-10", "      "+soaking, 1), "    - issued: 2026-10-01\n      "+soaking, "    - "+soaking, 1)
		b.write("production/whoop.yaml", text)
		if code := b.rotate("", "prune", "production/whoop", "--key", "1"); code != exitFailed || !strings.Contains(b.errText, "and that it soaks until 2026-11-24T0") {
			t.Errorf("%s: got exit %d, %q", soaking, code, b.errText)
		}
	}
	b.write("production/whoop.yaml", before)
	repo := b.repository()
	b.mustRotate("", "prune", "production/whoop", "--key", "1", "--commit", "--state", b.t.TempDir())
	if head := headOf(t, repo); head.Message != "Remove key 1 of production/whoop\n\nNo longer needed.\n" || !strings.Contains(b.outText, "Push commit "+head.Hash.String()[:10]+".\n") {
		t.Errorf("got message %q and output %q", head.Message, b.outText)
	}
	if !strings.Contains(strings.Join(strings.Fields(b.outText), " "), "It is assumed that key 3 is live, because it is due: no run has left a state in /") {
		t.Errorf("got %q", b.outText)
	}
}

// The state knows what is live, soaking and rejected, whatever is due by the file.
func TestRotatePruneKnowsTheState(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		known func(*plan.Memory, *keys.History, func(int) string)
		spare string
		why   string
	}{
		{"what is due is live", live(4), "keys 1, 2", "key 4 is live, as of 2026-11-22T08:00:00Z, and no key soaks"},
		{"an older one is still live", live(2), "key 1", "key 2 is live, as of 2026-11-22T08:00:00Z"},
		{"the one set by hand is", live(1), "none", "key 1 is live, as of"},
		{"a later one is live before its time", live(5), "keys 1, 2", "key 5 is live"},
		{"one was rejected", func(m *plan.Memory, l *keys.History, entry func(int) string) {
			live(3)(m, l, entry)
			l.Refused[entry(4)] = forGood(at)
		}, "keys 1, 4", "key 3 is live, as of 2026-11-22T08:00:00Z, key 4 was rejected, and no key soaks"},
		{"the one before was rejected", func(m *plan.Memory, l *keys.History, entry func(int) string) {
			live(4)(m, l, entry)
			l.Refused[entry(3)] = forGood(at)
		}, "keys 1, 3", "key 4 is live, as of 2026-11-22T08:00:00Z, key 3 was rejected"},
		{"the live one was rejected", func(m *plan.Memory, l *keys.History, entry func(int) string) {
			live(4)(m, l, entry)
			l.Refused[entry(4)] = forGood(at)
			l.Refused[entry(3)] = forGood(at)
		}, "none", "key 4 is live, as of 2026-11-22T08:00:00Z, and it was rejected"},
		{"a key soaks", func(m *plan.Memory, l *keys.History, entry func(int) string) {
			live(4)(m, l, entry)
			l.Soak = &keys.Soak{Entry: entry(4), Until: at.Add(26 * time.Hour)}
		}, "none", "a new key soaks until 2026-11-23T10:00:00Z"},
		{"the soak has passed, and no run came", func(m *plan.Memory, l *keys.History, entry func(int) string) {
			live(4)(m, l, entry)
			l.Soak = &keys.Soak{Entry: entry(4), Until: at.Add(24 * time.Hour)}
		}, "none", "the soak of a new key passed at 2026-11-23T08:00:00Z, and the next run that applies looks at it"},
		{"what was live is none of the file", func(m *plan.Memory, l *keys.History, entry func(int) string) {
			m.Connections["whoop"] = plan.Remembered{Fields: map[string]string{"client_secret": "another"}, VerifiedAt: at}
			l.Refused[entry(4)] = forGood(at)
		}, "key 4", "no key of the file is live, as of 2026-11-22T08:00:00Z, key 4 was rejected"},
		{"it is held", func(m *plan.Memory, l *keys.History, entry func(int) string) {
			live(4)(m, l, entry)
			c := m.Connections["whoop"]
			c.Held = map[string]plan.Cause{"client_secret": plan.Drift}
			m.Connections["whoop"] = c
		}, "none", "a change of its keys is held, and until it is settled what is live may be another; the next run"},
		{"nothing is agreed", func(m *plan.Memory, _ *keys.History, _ func(int) string) {
			m.Connections["whoop"] = plan.Remembered{Noted: true, Fields: map[string]string{}}
		}, "none", "no run has agreed on a live key yet; the next run that applies finds out"},
		{"the environment was never run", func(m *plan.Memory, _ *keys.History, _ func(int) string) { m.Known = false }, "keys 1, 2", "it is assumed that key 4 is live, because it is due: the state in "},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.whoopWith("", "2026-11-01", "2026-11-10", "2026-11-20", "2026-12-01")
			b.remember(at, c.known)
			if code := b.rotate("", "prune", "production/whoop"); code != exitUsage || !strings.Contains(b.errText, "; "+c.spare+" could be removed: "+c.why) {
				t.Errorf("got exit %d, %q, want %q %q", code, b.errText, c.spare, c.why)
			}
		})
	}
}

// A state that was lost, or put back from a backup, is no reason to take the key that
// is due for live.
func TestRotatePruneDoubtsAnOldState(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.whoopWith("", "2026-11-01", "2026-11-10")
	b.remember(b.now, live(3))
	dir := b.vars["RECONCILE_STATE_DIR"]
	backup, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Record(state.Entry{ID: "1", At: b.now, Event: "gated", DevID: "prod-x"}), store.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"older", "is older than its history"}, {"gone", "was gone although its history is there"}, {"whole", "key 3 is live"}} {
		name, want := c[0], c[1]
		switch name {
		case "older":
			err = os.WriteFile(filepath.Join(dir, "state.db"), backup, 0o600)
		case "gone":
			err = os.Remove(filepath.Join(dir, "state.db"))
		case "whole":
			b.remember(b.now, live(3))
		}
		spare := map[string]string{"whole": "key 1"}[name]
		if code := b.rotate("", "prune", "production/whoop"); err != nil || code != exitUsage || !strings.Contains(b.errText, want) || !strings.Contains(b.errText, "; "+cmp.Or(spare, "none")+" could be removed: ") {
			t.Errorf("%s: %v, got exit %d, %q, want %q", name, err, code, b.errText, want)
		}
	}
}

// forGood is a key that was rejected at a time, and again a day later.
func forGood(at time.Time) keys.Refusal {
	return keys.Refusal{By: keys.Provider, Reason: "no", Since: at, At: at.Add(25 * time.Hour), Heard: 9, Firm: 9, FirmSince: at, FirmAt: at.Add(25 * time.Hour), Rejected: at}
}

// live remembers a key, by its number, as the live one.
func live(key int) func(*plan.Memory, *keys.History, func(int) string) {
	return func(m *plan.Memory, _ *keys.History, _ func(int) string) {
		digest := plan.UnknownKey
		if key > 1 {
			digest = newSecret(key)[30:]
		}
		m.Connections["whoop"] = plan.Remembered{Fields: map[string]string{"client_secret": digest}, VerifiedAt: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	}
}

// remember writes a state in which each key of WHOOP has been seen.
func (b *bench) remember(at time.Time, what func(*plan.Memory, *keys.History, func(int) string)) {
	b.t.Helper()
	k, err := openKeyFile(b.dir, "production/whoop")
	if err != nil {
		b.t.Fatal(err)
	}
	digests := map[string]state.Digest{}
	tokens := map[int]string{}
	for i, key := range k.Connection.Credentials.Keys {
		if sealed, err := secrets.Parse(key.Secret.Armor); err == nil {
			tokens[i+1] = sealed.Token()
			digests[sealed.Token()+" "+whoopSecret().String()+" checked 3"] = state.Digest{Value: newSecret(i + 1)[30:]} // as a run of today knows it
		}
	}
	memory, life := plan.Memory{Known: true, Connections: map[string]plan.Remembered{}}, keys.History{Refused: map[string]keys.Refusal{}}
	what(&memory, &life, func(key int) string {
		return tokens[key] + " for 0f8fad5b-d9cb-469f-a165-70867728950e from " + k.Connection.Credentials.Keys[key-1].NotBefore.UTC().Format(time.RFC3339)
	})
	b.vars["RECONCILE_STATE_DIR"] = b.t.TempDir()
	store, err := state.Open(b.vars["RECONCILE_STATE_DIR"], state.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer store.Close()
	env := state.Environment{API: terra.DefaultBaseURL, Customer: "acme", DevID: "prod-x"}
	for _, err := range []error{store.SaveMemory(env, memory), store.SaveLocation(env, "default"), store.SaveKeyHistory(env, "whoop", life), store.SaveDigests(at, digests)} {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// A secret that the file has and that its provider refused is sealed again in its place,
// so that it is tried again; one that nobody refused is a mistake.
func TestRotateAddOfARejectedKeyTriesItAgain(t *testing.T) {
	b := newBench(t)
	b.whoopWith("2026-11-01", "2026-11-10", "2026-12-01")
	secret := func(key string) string {
		return strings.TrimSpace(b.must("", "decrypt", "production/whoop.yaml", "--key", key))
	}
	first, second := secret("1"), secret("2")
	if code := b.rotate(second, "add", "production/whoop", "--yes-new-recipients"); code != exitFailed || !strings.Contains(b.errText, "key 2 is this very secret") {
		t.Errorf("nobody knows of it: got exit %d, %q", code, b.errText)
	}
	b.remember(b.now, func(m *plan.Memory, h *keys.History, entry func(int) string) {
		live(1)(m, h, entry)
		h.Refused[entry(2)] = keys.Refusal{By: keys.Provider, Reason: "no", Since: b.now, At: b.now, Heard: 1}
	})
	before := b.read("production/whoop.yaml")
	if code := b.rotate(first, "add", "production/whoop", "--yes-new-recipients"); code != exitFailed || !strings.Contains(b.errText, "key 1 is this very secret") || b.read("production/whoop.yaml") != before {
		t.Errorf("the live one: got exit %d, %q", code, b.errText)
	}
	out := b.mustRotate(second, "add", "production/whoop", "--yes-new-recipients")
	if !strings.HasPrefix(out, "Sealed key 2 of production/whoop again, for 1 recipient: it is tried again.\n") {
		t.Errorf("got\n%s", out)
	}
	after := b.read("production/whoop.yaml")
	if secret("1") != first || secret("2") != second || after == before || strings.Count(after, "!age") != 3 || strings.Count(after, "issued: 2026-10-01") != 3 {
		t.Errorf("got\n%s\nof\n%s", after, before)
	}
	if code := b.rotate(second, "add", "production/whoop", "--yes-new-recipients"); code != exitFailed || !strings.Contains(b.errText, "key 2 is this very secret") {
		t.Errorf("once more, and nobody refused it as it is sealed now: got exit %d, %q", code, b.errText)
	}
	if b.run("", "secret", "recipients", "--check", b.dir); strings.Contains(b.outText, "keys[2]") || !strings.Contains(b.outText, "keys[3]") {
		t.Errorf("it is not noted for whom it is sealed, as the others of this file are not:\n%s", b.outText)
	}
}
