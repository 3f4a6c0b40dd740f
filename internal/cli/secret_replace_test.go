package cli

import (
	"strings"
	"testing"
)

// TestReplacingTheLiveSecretIsTold: who seals in the place of another secret hears where
// that one may be live, and nobody else does.
func TestReplacingTheLiveSecretIsTold(t *testing.T) {
	t.Parallel()
	const told = "may be the live secret: this one will replace it, and no file"
	elsewhere := whoopSecret()
	elsewhere.DevID = "staging-x"
	file := func(b *bench, sealed string) {
		b.write("production/whoop.yaml", "provider: whoop\ncredentials:\n  keys:\n    - client_secret: "+sealed+"\n    - not_before: 2026-11-28\n      client_secret: "+b.plain("terra-reconcile/1 "+whoopSecret().String()+"\n"+newSecret(8)))
	}
	for name, c := range map[string]struct {
		prepare func(b *bench)
		typed   string
		args    []string
		tells   bool
		adds    bool
	}{
		"the first one":                 {typed: newSecret(2), args: []string{"encrypt", "production/strava.yaml"}},
		"a lone one":                    {prepare: func(b *bench) { b.must(typedSecret, "encrypt", "production/strava.yaml") }, typed: newSecret(2), args: []string{"encrypt", "production/strava.yaml"}, tells: true, adds: true},
		"a lone one, with its day":      {prepare: func(b *bench) { b.must(typedSecret, "encrypt", "production/strava.yaml") }, typed: newSecret(2), args: []string{"encrypt", "production/strava.yaml", "--issued", "2026-11-20"}, tells: true, adds: true},
		"the same one":                  {prepare: func(b *bench) { b.must(typedSecret, "encrypt", "production/strava.yaml") }, typed: typedSecret, args: []string{"encrypt", "production/strava.yaml"}},
		"the key that is due":           {prepare: func(b *bench) { file(b, b.plain("terra-reconcile/1 "+whoopSecret().String()+"\n"+newSecret(7))) }, typed: newSecret(2), args: []string{"encrypt", "production/whoop.yaml", "--key", "1", "--yes-new-recipients"}, tells: true, adds: true},
		"a key that is not due":         {prepare: func(b *bench) { file(b, b.plain("terra-reconcile/1 "+whoopSecret().String()+"\n"+newSecret(7))) }, typed: newSecret(2), args: []string{"encrypt", "production/whoop.yaml", "--key", "2", "--yes-new-recipients"}},
		"a mask":                        {prepare: func(b *bench) { file(b, b.plain("terra-reconcile/1 "+whoopSecret().String()+"\n****7777")) }, typed: newSecret(2), args: []string{"encrypt", "production/whoop.yaml", "--key", "1", "--yes-new-recipients"}},
		"one that is for another place": {prepare: func(b *bench) { file(b, b.plain("terra-reconcile/1 "+elsewhere.String()+"\n"+newSecret(7))) }, typed: newSecret(2), args: []string{"encrypt", "production/whoop.yaml", "--key", "1", "--yes-new-recipients"}},
		"one that does not open here": {prepare: func(b *bench) {
			b.must(typedSecret, "encrypt", "production/strava.yaml")
			delete(b.vars, "RECONCILE_AGE_KEY_FILE")
		}, typed: typedSecret, args: []string{"encrypt", "production/strava.yaml"}, tells: true, adds: true},
		"a verification secret": {prepare: func(b *bench) {
			b.write("production/polar.yaml", "provider: polar\ncredentials:\n  client_id: x\n")
			b.must(typedSecret, "encrypt", "production/polar.yaml", "--field", "verification_secret")
		}, typed: newSecret(2), args: []string{"encrypt", "production/polar.yaml", "--field", "verification_secret"}, tells: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if c.prepare != nil {
				c.prepare(b)
			}
			b.must(c.typed, c.args...)
			said := strings.Join(strings.Fields(b.errText), " ")
			if got := strings.Contains(said, told); got != c.tells {
				t.Errorf("it is told %v, want %v: %s", got, c.tells, b.errText)
			}
			if got := strings.Contains(said, "reconcile rotate add"); got != c.adds {
				t.Errorf("the other way is told %v, want %v: %s", got, c.adds, b.errText)
			}
		})
	}
}
