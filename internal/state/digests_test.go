package state

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

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
	before.Connections["strava"].Fields[plan.FieldVerificationSecret] = "hmac:v"
	must(t, s.SaveMemory(dev, before))
	must(t, s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v"}}))

	must(t, s.SetDigestKey([]byte("first"), []byte("first")))
	for _, former := range [][]byte{nil, []byte("zeroth")} {
		if err := s.SetDigestKey(former, []byte("second")); !errors.Is(err, ErrKeyChanged) {
			t.Errorf("set in the place of %q: got %v, want ErrKeyChanged", former, err)
		}
	}
	digests, err := s.Digests()
	must(t, err)
	memory, err := s.Memory(dev)
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
	memory, err = s.Memory(dev)
	must(t, err)
	want := map[string]string{plan.FieldClientID: "id of strava"}
	if diff := cmp.Diff(want, memory.Connections["strava"].Fields); diff != "" {
		t.Errorf("tokens after another key (-want +got):\n%s", diff)
	}
	if !memory.Known || !memory.Connections["strava"].Enabled {
		t.Errorf("memory after another key: got %+v, want the rest kept", memory)
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
