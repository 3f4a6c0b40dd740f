package reconcile

import (
	"sync"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestRunsSideBySideShareOneDigestKey: the daemon runs environments at the same
// time. With a key each, what one remembers looks like drift to the other.
func TestRunsSideBySideShareOneDigestKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := secrets.NewValue([]byte("a secret that both look at"))
	for range 20 {
		w.stateDir = t.TempDir()
		store, err := state.Open(w.stateDir, state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := New(Options{Store: store, Identities: func() (*secrets.Identities, error) { return w.identities, nil }})
		digests := make([]string, 4)
		var wait sync.WaitGroup
		for i := range digests {
			wait.Go(func() {
				b, _, err := e.openCache(Run{Mode: report.Apply})
				if err != nil {
					t.Error(err)
					return
				}
				digests[i] = b.digester.Digest(secret)
			})
		}
		wait.Wait()
		b, _, err := e.openCache(Run{Mode: report.Apply})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range digests {
			if want := b.digester.Digest(secret); got != want {
				t.Errorf("run %d works with another key than the one that is kept", i)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
