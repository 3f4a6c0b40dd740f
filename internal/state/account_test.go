package state

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func account(api, customer string) Environment {
	return Environment{API: api, Customer: customer, DevID: dev}
}

// What is remembered of a dev_id at one address, for one customer, is not found for
// another.
func TestMemoryBelongsToOneAccount(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	all := []Environment{account("https://api", "c"), account("https://api", "d"), account("loopback", "c")}
	for i, env := range all {
		if m, err := s.Memory(env); m.Known || err != nil {
			t.Errorf("%v: something is remembered already: %v, %v", env, m, err)
		}
		must(t, errors.Join(s.SaveMemory(env, memoryOf([]string{"strava", "garmin", "whoop"}[i])), s.SaveLocation(env, "default")))
	}
	must(t, errors.Join(s.SaveMemory(of("another"), memoryOf("strava")), s.SaveCommits(account("empty", "c"), Commits{})))
	closed(t, s)
	s = opened(t, dir)
	found, err := s.EnvironmentsOf(dev)
	must(t, err)
	if diff := cmp.Diff(all, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for api, want := range map[string]Environment{"https://api": all[1], "loopback": all[2]} {
		if got, known, err := s.Locate(api, dev); got != want || !known || err != nil {
			t.Errorf("%s: got %v, %v, %v, want the one that was used last", api, got, known, err)
		}
	}
	if got, known, err := s.Locate("https://elsewhere", dev); got != account("https://elsewhere", "") || known || err != nil {
		t.Errorf("elsewhere: got %v, %v, %v", got, known, err)
	}

	must(t, s.MoveEnvironment(all[2], account("loopback", "e")))
	moved, err := s.Memory(account("loopback", "e"))
	must(t, err)
	if diff := cmp.Diff(memoryOf("whoop"), moved); diff != "" {
		t.Errorf("moved (-want +got):\n%s", diff)
	}
	if found, err = s.EnvironmentsOf(dev); len(found) != 3 || err != nil || found[2].Customer != "e" {
		t.Errorf("after the move: got %v, %v", found, err)
	}
}

func TestTokensAreKeptByAddress(t *testing.T) {
	s := opened(t, t.TempDir())
	want := Token{API: "https://api", Fingerprint: "f", Customer: "c", At: noon()}
	must(t, errors.Join(s.SaveToken(want), s.SaveToken(Token{API: "loopback", Fingerprint: "f", Customer: "d", At: noon()})))
	if got, known, err := s.Token("https://api", "f"); got != want || !known || err != nil {
		t.Errorf("got %v, %v, %v", got, known, err)
	}
	must(t, s.SaveToken(Token{API: "https://api", Fingerprint: "new", At: noon().Add(91 * 24 * time.Hour)}))
	if _, known, err := s.Token("https://api", "f"); known || err != nil {
		t.Errorf("after ninety days without use: %v, %v", known, err)
	}
}
