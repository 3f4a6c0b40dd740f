package state

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func keyHistory() keys.History {
	return keys.History{
		Refused:  map[string]keys.Refusal{"sha256:b for 1": {By: keys.Provider, Since: noon(), At: noon(), Heard: 3, Firm: 3, FirmSince: noon(), Rejected: noon(), Reason: "no"}},
		Accepted: map[string]time.Time{"sha256:a for 1": noon()},
		Seen:     []keys.Pair{{ClientID: "1", Digest: "hmac:a"}},
		Live:     &keys.Sighting{Pair: keys.Pair{ClientID: "1", Digest: "hmac:b"}, Since: noon()},
		Soak: &keys.Soak{Pair: keys.Pair{ClientID: "1", Digest: "hmac:b"}, Entry: "sha256:b for 1", Began: noon(), Former: "sha256:a for 1",
			Until: noon().Add(time.Hour), Users: &plan.Users{Count: 7, Exact: true}, Sample: []string{"hmac:u"}, Fall: &keys.Fall{Since: noon(), At: noon(), Times: 1}},
		Former: &keys.Former{Entry: "sha256:0 for 1", Replaced: noon()},
	}
}

// What is accepted is not refused any more; of another key nothing is remembered.
func TestAcceptKey(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveKeyHistory(here(), "strava", keyHistory()))
	must(t, s.AcceptKey(here(), "strava", "sha256:z for 1", noon()))
	must(t, s.AcceptKey(here(), "whoop", "sha256:b for 1", noon()))
	must(t, s.AcceptKey(here(), "strava", "sha256:b for 1", noon().Add(time.Minute)))
	all, err := s.KeyHistory(here())
	must(t, err)
	h := all["strava"]
	if at, accepted := h.Accepted["sha256:b for 1"]; len(h.Refused) != 0 || !accepted || !at.Equal(noon().Add(time.Minute)) || len(h.Accepted) != 2 || len(all) != 1 {
		t.Errorf("got %+v", all)
	}
}

func TestKeyHistoriesAreKept(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	if lives, err := s.KeyHistory(here()); err != nil || len(lives) != 0 {
		t.Errorf("nothing saved: got %v, %v", lives, err)
	}
	must(t, s.SaveKeyHistory(here(), "strava", keyHistory()))
	must(t, s.SaveKeyHistory(here(), "whoop", keys.History{Seen: []keys.Pair{{ClientID: "2", Digest: "d"}}}))
	must(t, s.SaveKeyHistory(here(), "whoop", keys.History{}))
	must(t, s.Close())
	s = opened(t, dir)
	lives, err := s.KeyHistory(here())
	must(t, err)
	if diff := cmp.Diff(map[string]keys.History{"strava": keyHistory()}, lives); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lives, err := s.KeyHistory(of("another")); err != nil || len(lives) != 0 {
		t.Errorf("another environment: got %v, %v", lives, err)
	}
}

func TestProbesAreKeptForADay(t *testing.T) {
	s := opened(t, t.TempDir())
	good := plan.Probe{Verdict: plan.Good, Reason: "yes", At: noon()}
	must(t, s.SaveProbe(here(), "hmac:1", good))
	if got, ok, err := s.Probed(here(), "hmac:1"); err != nil || !ok || got != good {
		t.Errorf("got %v, %t, %v", got, ok, err)
	}
	if _, ok, err := s.Probed(here(), "hmac:2"); err != nil || ok {
		t.Errorf("another pair: got %t, %v", ok, err)
	}
	must(t, s.SaveProbe(here(), "hmac:2", plan.Probe{Verdict: plan.Bad, At: noon().Add(25 * time.Hour)}))
	if _, ok, err := s.Probed(here(), "hmac:1"); err != nil || ok {
		t.Errorf("after a day: got %t, %v", ok, err)
	}
}

func TestNewDigestKeyForgetsPairsButNotRejections(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SetDigestKey(nil, []byte("first")))
	must(t, s.SaveKeyHistory(here(), "strava", keyHistory()))
	must(t, s.SaveKeyHistory(here(), "whoop", keys.History{Seen: []keys.Pair{{ClientID: "2", Digest: "d"}}}))
	must(t, s.SaveProbe(here(), "hmac:1", plan.Probe{Verdict: plan.Good, At: noon()}))
	must(t, s.SetDigestKey([]byte("first"), []byte("second")))
	lives, err := s.KeyHistory(here())
	must(t, err)
	if diff := cmp.Diff(map[string]keys.History{"strava": keyHistory().WithoutDigests()}, lives); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok, err := s.Probed(here(), "hmac:1"); err != nil || ok {
		t.Errorf("an answer about a pair that nothing names any more: got %t, %v", ok, err)
	}
}

func TestDamagedKeyHistoriesAreNotNothing(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SaveKeyHistory(here(), "strava", keyHistory()))
	must(t, s.SaveProbe(here(), "hmac:1", plan.Probe{Verdict: plan.Good, At: noon()}))
	must(t, s.Close())
	put(t, filepath.Join(dir, fileName), []byte("{"), bucketRecords, place(kindKeyHistory, here(), "strava"))
	put(t, filepath.Join(dir, fileName), []byte("{"), bucketRecords, place(kindProbe, here(), "hmac:1"))
	s = opened(t, dir)
	var damaged *CorruptError
	if _, err := s.KeyHistory(here()); !errors.As(err, &damaged) {
		t.Errorf("key lives: got %v, want a CorruptError", err)
	}
	if _, _, err := s.Probed(here(), "hmac:1"); !errors.As(err, &damaged) {
		t.Errorf("probe: got %v, want a CorruptError", err)
	}
	if err := s.SaveProbe(here(), "hmac:2", plan.Probe{At: noon()}); !errors.As(err, &damaged) {
		t.Errorf("save probe: got %v, want a CorruptError", err)
	}
}

func TestReadOnlyKeepsNoKeys(t *testing.T) {
	s := None("for a test")
	if err := s.SaveKeyHistory(here(), "strava", keyHistory()); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	if err := s.SaveProbe(here(), "p", plan.Probe{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	if lives, err := s.KeyHistory(here()); err != nil || len(lives) != 0 {
		t.Errorf("got %v, %v", lives, err)
	}
}

// What a caller does to a memory it was given must not reach the next one who asks.
func TestMemoryIsGivenToEachAlone(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveMemory(here(), memoryOf("strava")))
	for range 2 {
		got, err := s.Memory(here())
		must(t, err)
		if diff := cmp.Diff(memoryOf("strava"), got); diff != "" {
			t.Fatalf("memory (-want +got):\n%s", diff)
		}
		got.Connections["strava"].Fields["scopes"] = "changed"
		delete(got.Connections, "strava")
	}
}

func TestMemoryThatWasReadFollowsWhatIsSaved(t *testing.T) {
	s := opened(t, t.TempDir())
	for _, token := range []string{"first", "second", "first"} {
		want := memoryOf("strava")
		want.Connections["strava"].Fields["scopes"] = token
		must(t, s.SaveMemory(here(), want))
		got, err := s.Memory(here())
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("memory with %s (-want +got):\n%s", token, diff)
		}
	}
}

func TestDamageIsNotHiddenByWhatWasRead(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveMemory(here(), memoryOf("strava")))
	_, err := s.Memory(here())
	must(t, err)
	must(t, s.write("damage", func(w Writer) error { return w.Put(kindConnection.at(here(), "strava"), []byte("1 {")) }))
	if got, err := s.Memory(here()); err == nil {
		t.Errorf("a damaged record: got %v, want an error", got)
	}
}

func TestSourceTypesThatWereReadFollowWhatIsSaved(t *testing.T) {
	s := opened(t, t.TempDir())
	for _, byo := range []bool{true, false, true} {
		want := map[string]plan.Type{"strava": {BYO: byo}}
		must(t, s.SaveSourceTypes(here(), want, noon()))
		got, _, err := s.SourceTypes(here())
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("source types (-want +got):\n%s", diff)
		}
	}
}

func TestDigestsAreDroppedAfterThirtyDaysWithoutUse(t *testing.T) {
	s := opened(t, t.TempDir())
	a, b := Digest{Value: "va", Mask: "****1"}, Digest{Value: "vb", Mask: "****2"}
	must(t, s.SaveDigests(noon(), map[string]Digest{"sha256:a": a, "sha256:b": b}))
	steps := []struct {
		after time.Duration
		used  map[string]Digest
		want  map[string]Digest
	}{
		{time.Hour, map[string]Digest{"sha256:a": a}, map[string]Digest{"sha256:a": a, "sha256:b": b}},
		{25 * 24 * time.Hour, map[string]Digest{"sha256:a": a}, map[string]Digest{"sha256:a": a, "sha256:b": b}},
		{30 * 24 * time.Hour, nil, map[string]Digest{"sha256:a": a, "sha256:b": b}},
		{30*24*time.Hour + 1, nil, map[string]Digest{"sha256:a": a}},
		{31 * 24 * time.Hour, map[string]Digest{"sha256:a": b}, map[string]Digest{"sha256:a": b}},
		{62 * 24 * time.Hour, nil, map[string]Digest{}},
	}
	for _, step := range steps {
		must(t, s.SaveDigests(noon().Add(step.after), step.used))
		got, err := s.Digests()
		must(t, err)
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", step.after, diff)
		}
	}
}

func TestNewDigestKeyForgetsWhatAnotherOneMade(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SetDigestKey(nil, []byte("first")))
	before := memoryOf("strava")
	r := before.Connections["strava"]
	r.Fields[plan.FieldVerificationSecret], r.UnknownMask = "hmac:v", "hmac:mask"
	before.Connections["strava"] = r
	must(t, s.SaveMemory(here(), before))
	must(t, s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v"}}))

	must(t, s.SetDigestKey([]byte("first"), []byte("first")))
	for _, former := range [][]byte{nil, []byte("zeroth")} {
		if err := s.SetDigestKey(former, []byte("second")); !errors.Is(err, ErrKeyChanged) {
			t.Errorf("set in the place of %q: got %v, want ErrKeyChanged", former, err)
		}
	}
	digests, err := s.Digests()
	must(t, err)
	memory, err := s.Memory(here())
	must(t, err)
	if len(digests) != 1 {
		t.Errorf("digests after the same key: got %v, want one", digests)
	}
	if diff := cmp.Diff(before, memory); diff != "" {
		t.Errorf("memory after the same key (-want +got):\n%s", diff)
	}

	must(t, s.SetDigestKey([]byte("first"), []byte("second")))
	closed(t, s)
	s = opened(t, dir)
	key, err := s.DigestKey()
	must(t, err)
	if string(key) != "second" {
		t.Errorf("key: got %q, want second", key)
	}
	digests, err = s.Digests()
	must(t, err)
	if len(digests) != 0 {
		t.Errorf("digests after another key: got %v, want none", digests)
	}
	memory, err = s.Memory(here())
	must(t, err)
	want := map[string]string{plan.FieldClientID: "id of strava"}
	if diff := cmp.Diff(want, memory.Connections["strava"].Fields); diff != "" {
		t.Errorf("tokens after another key (-want +got):\n%s", diff)
	}
	if after := memory.Connections["strava"]; !memory.Known || !after.Enabled || after.UnknownMask != "" {
		t.Errorf("memory after another key: got %+v, want the rest kept, and no mask", memory)
	}
}

func TestDigestsOfANewKeyAreNotThoseReadBefore(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SetDigestKey(nil, []byte("first")))
	must(t, s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v"}}))
	before, err := s.Digests()
	must(t, err)
	must(t, s.SetDigestKey([]byte("first"), []byte("second")))
	after, err := s.Digests()
	must(t, err)
	if len(before) != 1 || len(after) != 0 {
		t.Errorf("digests before and after a new key: got %v and %v, want one and none", before, after)
	}
	after["sha256:b"] = Digest{Value: "not saved"}
	again, err := s.Digests()
	must(t, err)
	if len(again) != 0 {
		t.Errorf("digests after the caller changed its own map: got %v, want none", again)
	}
}
