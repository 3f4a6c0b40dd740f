package state

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func keyLife() plan.KeyLife {
	return plan.KeyLife{
		Rejected: map[string]plan.Rejection{"sha256:b for 1": {At: noon(), Reason: "no"}},
		Seen:     []plan.Pair{{ClientID: "1", Digest: "hmac:a"}},
		Soak: &plan.Soak{Pair: plan.Pair{ClientID: "1", Digest: "hmac:b"}, Entry: "sha256:b for 1", Began: noon(),
			Until: noon().Add(time.Hour), Users: &plan.Users{Count: 7, Exact: true}, Sample: []string{"hmac:u"}},
	}
}

func TestKeyLivesAreKept(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	if lives, err := s.KeyLives(dev); err != nil || len(lives) != 0 {
		t.Errorf("nothing saved: got %v, %v", lives, err)
	}
	must(t, s.SaveKeyLife(dev, "strava", keyLife()))
	must(t, s.SaveKeyLife(dev, "whoop", plan.KeyLife{Seen: []plan.Pair{{ClientID: "2", Digest: "d"}}}))
	must(t, s.SaveKeyLife(dev, "whoop", plan.KeyLife{}))
	must(t, s.Close())
	s = opened(t, dir)
	lives, err := s.KeyLives(dev)
	must(t, err)
	if diff := cmp.Diff(map[string]plan.KeyLife{"strava": keyLife()}, lives); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lives, err := s.KeyLives("another"); err != nil || len(lives) != 0 {
		t.Errorf("another environment: got %v, %v", lives, err)
	}
}

func TestProbesAreKeptForADay(t *testing.T) {
	s := opened(t, t.TempDir())
	good := plan.Probe{Verdict: plan.Good, Reason: "yes", At: noon()}
	must(t, s.SaveProbe(dev, "hmac:1", good))
	if got, ok, err := s.Probed(dev, "hmac:1"); err != nil || !ok || got != good {
		t.Errorf("got %v, %t, %v", got, ok, err)
	}
	if _, ok, err := s.Probed(dev, "hmac:2"); err != nil || ok {
		t.Errorf("another pair: got %t, %v", ok, err)
	}
	must(t, s.SaveProbe(dev, "hmac:2", plan.Probe{Verdict: plan.Bad, At: noon().Add(25 * time.Hour)}))
	if _, ok, err := s.Probed(dev, "hmac:1"); err != nil || ok {
		t.Errorf("after a day: got %t, %v", ok, err)
	}
}

func TestNewDigestKeyForgetsPairsButNotRejections(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SetDigestKey(nil, []byte("first")))
	must(t, s.SaveKeyLife(dev, "strava", keyLife()))
	must(t, s.SaveKeyLife(dev, "whoop", plan.KeyLife{Seen: []plan.Pair{{ClientID: "2", Digest: "d"}}}))
	must(t, s.SaveProbe(dev, "hmac:1", plan.Probe{Verdict: plan.Good, At: noon()}))
	must(t, s.SetDigestKey([]byte("first"), []byte("second")))
	lives, err := s.KeyLives(dev)
	must(t, err)
	if diff := cmp.Diff(map[string]plan.KeyLife{"strava": {Rejected: keyLife().Rejected}}, lives); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok, err := s.Probed(dev, "hmac:1"); err != nil || ok {
		t.Errorf("an answer about a pair that nothing names any more: got %t, %v", ok, err)
	}
}

func TestDamagedKeyLivesAreNotNothing(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SaveKeyLife(dev, "strava", keyLife()))
	must(t, s.SaveProbe(dev, "hmac:1", plan.Probe{Verdict: plan.Good, At: noon()}))
	must(t, s.Close())
	put(t, filepath.Join(dir, fileName), []byte("{"), bucketEnvironments, dev, bucketKeyLives, "strava")
	put(t, filepath.Join(dir, fileName), []byte("{"), bucketEnvironments, dev, bucketProbes, "hmac:1")
	s = opened(t, dir)
	var damaged *CorruptError
	if _, err := s.KeyLives(dev); !errors.As(err, &damaged) {
		t.Errorf("key lives: got %v, want a CorruptError", err)
	}
	if _, _, err := s.Probed(dev, "hmac:1"); !errors.As(err, &damaged) {
		t.Errorf("probe: got %v, want a CorruptError", err)
	}
	if err := s.SaveProbe(dev, "hmac:2", plan.Probe{At: noon()}); !errors.As(err, &damaged) {
		t.Errorf("save probe: got %v, want a CorruptError", err)
	}
}

func TestReadOnlyKeepsNoKeys(t *testing.T) {
	s := None("for a test")
	if err := s.SaveKeyLife(dev, "strava", keyLife()); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	if err := s.SaveProbe(dev, "p", plan.Probe{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	if lives, err := s.KeyLives(dev); err != nil || len(lives) != 0 {
		t.Errorf("got %v, %v", lives, err)
	}
}
