package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
)

// entries gives not_before of each key of a file, as it loads; it fails where the
// file has errors.
func (b *bench) entries(name string) (repoedit.KeyFile, []string) {
	b.t.Helper()
	k, err := openKeyFile(b.dir, name)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, key := range k.Connection.Credentials.Keys {
		text := ""
		if !key.NotBefore.IsZero() {
			text = key.NotBefore.UTC().Format("02T15")
		}
		out = append(out, text)
	}
	return k, out
}

// A key that is due sooner than keys of the file stands before them, whatever is
// due now, and every other byte stays.
func TestRotateAddBeforeScheduledKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t) // it is 23 Nov 2026, 09:00
	b.write("production/whoop.yaml", "provider: whoop\ncredentials:\n  keys:\n    - {unknown: true} # by hand\n    # for the fair\n    - not_before: 2026-11-28\n")
	b.must(newSecret(1), "encrypt", "production/whoop.yaml")
	fair := strings.SplitAfter(b.read("production/whoop.yaml"), "by hand\n")[1]
	for n, c := range []struct {
		notBefore string
		want      []string
		says      string
	}{
		{"2026-11-26T02:00:00Z", []string{"", "26T02", "28T00"}, "Added key 2 of production/whoop, sealed for 1 recipient.\n  due       from 2026-11-26T02:00:00Z; until then key 1 stays\n  then      key 3 from 2026-11-28T00:00:00Z (it was key 2)\n"},
		{"", []string{"", "", "26T02", "28T00"}, "Added key 2 of production/whoop, sealed for 1 recipient.\n  due       at once\n  then      key 3 from 2026-11-26T02:00:00Z (it was key 2), key 4 from\n            2026-11-28T00:00:00Z (it was key 3)\n"},
		{"2026-11-26T02:00:00Z", []string{"", "", "26T02", "26T02", "28T00"}, "Added key 4 of production/whoop"},
		{"2026-11-23T09:00:00Z", []string{"", "", "23T09", "26T02", "26T02", "28T00"}, "  due       at once\n"},
		{"", []string{"", "", "23T09", "23T09", "26T02", "26T02", "28T00"}, "Added key 4 of production/whoop"},
		{"2026-12-01", []string{"", "", "23T09", "23T09", "26T02", "26T02", "28T00", "01T00"}, "Added key 8 of production/whoop"},
	} {
		before, _ := b.entries("production/whoop")
		args := []string{"add", "production/whoop"}
		if c.notBefore != "" {
			args = append(args, "--not-before", c.notBefore)
		}
		out := b.mustRotate(newSecret(2+n), args...)
		if !strings.Contains(out, c.says) {
			t.Errorf("%d: got\n%s\nwant %q", n, out, c.says)
		}
		after, got := b.entries("production/whoop")
		if !slices.Equal(got, c.want) {
			t.Errorf("%d: got keys from %q, want %q", n, got, c.want)
		}
		if text := b.read("production/whoop.yaml"); !strings.Contains(text, fair) {
			t.Errorf("%d: bytes of other keys changed:\n%s", n, text)
		}
		b.neverOlder(before, after)
	}
	if !strings.Contains(b.outText, "compared  differs from 6 other keys") || strings.Contains(b.outText, "  then  ") {
		t.Errorf("got\n%s", b.outText)
	}
	b.must("", "recipients", "--check", b.dir)
}

// neverOlder walks through time: the due key never gets older, neither by time nor
// by the key that was added.
func (b *bench) neverOlder(before, after repoedit.KeyFile) {
	b.t.Helper()
	last := -1
	for at := (time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); at.Year() == 2026; at = at.Add(time.Hour) {
		due := reconcile.KeysOf(after.Connection).Due(at) - 1
		was := reconcile.KeysOf(before.Connection).Due(at) - 1
		if due < last {
			b.t.Fatalf("%s: key %d is due after key %d", at, due+1, last+1)
		}
		if was >= 0 && after.Connection.Credentials.Keys[due].NotBefore.Before(before.Connection.Credentials.Keys[was].NotBefore) {
			b.t.Fatalf("%s: an older key is due than without the new one", at)
		}
		last = due
	}
}

// Where making a key may end one that was made before it, the report says so.
func TestRotateAddSaysThatALaterKeyMayBeDead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(newSecret(1), "encrypt", "production/whoop.yaml")
	const may = "Was key 3 made before this one?"
	if out := b.mustRotate(newSecret(2), "add", "production/whoop"); !strings.Contains(out, may) {
		t.Errorf("WHOOP has one secret at a time; got\n%s", out)
	}
	b.write("production/virtuagym.yaml", "provider: virtuagym\ncredentials:\n  portal_name: acme\n  keys:\n    - {unknown: true}\n    - not_before: 2026-11-28\n")
	b.must(newSecret(3), "encrypt", "production/virtuagym.yaml")
	if out := b.mustRotate(newSecret(4), "add", "production/virtuagym"); strings.Contains(out, "made before this one") || !strings.Contains(out, "  then      key 3 from 2026-11-28") {
		t.Errorf("Virtuagym: an old key lives until somebody ends it; got\n%s", out)
	}
}
