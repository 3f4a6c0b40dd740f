package state

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// What a caller does to a memory it was given must not reach the next one who asks.
func TestMemoryIsGivenToEachAlone(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveMemory(dev, memoryOf("strava")))
	for range 2 {
		got, err := s.Memory(dev)
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
		must(t, s.SaveMemory(dev, want))
		got, err := s.Memory(dev)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("memory with %s (-want +got):\n%s", token, diff)
		}
	}
}

func TestDamageIsNotHiddenByWhatWasRead(t *testing.T) {
	s := opened(t, t.TempDir())
	must(t, s.SaveMemory(dev, memoryOf("strava")))
	_, err := s.Memory(dev)
	must(t, err)
	must(t, s.update(func(tx *bolt.Tx) error {
		return environment(tx, dev).Bucket([]byte(bucketConnections)).Put([]byte("strava"), []byte("{"))
	}))
	if got, err := s.Memory(dev); err == nil {
		t.Errorf("a damaged record: got %v, want an error", got)
	}
}

func TestSourceTypesThatWereReadFollowWhatIsSaved(t *testing.T) {
	s := opened(t, t.TempDir())
	for _, byo := range []bool{true, false, true} {
		want := map[string]plan.Type{"strava": {BYO: byo}}
		must(t, s.SaveSourceTypes(dev, want, noon()))
		got, _, err := s.SourceTypes(dev)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("source types (-want +got):\n%s", diff)
		}
	}
}
