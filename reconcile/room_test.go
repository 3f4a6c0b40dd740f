package reconcile

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestAccountThatHangsDelaysNoOther: six environments of an account whose Terra answers
// nothing stand before one of another account, which is done in the meantime.
func TestAccountThatHangsDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.now, w.flows = time.Now(), true
		client, err := terra.New(terra.Options{BaseURL: terratest.BaseURL, Version: "test",
			Token: func() (string, error) { return w.token, nil },
			Transport: tripper(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/me") { // who wait for one answer wait at a lock, where virtual time stands still
					return w.terra.RoundTripper().RoundTrip(r)
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})})
		if err != nil {
			t.Fatal(err)
		}
		w.elsewhere = map[string]*terra.Client{"hangs": client}
		for i := range 6 {
			w.write(fmt.Sprintf("a%d/environment.yaml", i), fmt.Sprintf("dev_id: hangs-%d\nprune: never\naccount: hangs\n", i))
		}
		w.write("production/polar.yaml", "provider: polar\n")
		began := time.Now()
		var mu sync.Mutex
		var wrote time.Duration
		w.wrap = func(inner http.RoundTripper) http.RoundTripper {
			return tripper(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				wrote = time.Since(began)
				return inner.RoundTrip(r)
			})
		}
		r := w.expectExit(w.apply(), report.ExitFailed)
		if took := time.Since(began); wrote > time.Second || took < time.Minute {
			t.Errorf("the last call of the one that answers was after %v, of a run of %v", wrote, took)
		}
		if n := len(r.Environments); n != 7 || r.Environments[6].Summary.Applied != 1 {
			t.Errorf("%d environments: %s", n, w.show(r))
		}
	})
}
