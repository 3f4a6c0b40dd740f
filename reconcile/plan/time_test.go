package plan

import (
	"fmt"
	"testing"
	"time"
)

// keyWalk is one connection whose keys become due one after the other, at a
// provider that accepts some of them, in runs of which some ask it.
type keyWalk struct {
	dice
	now      time.Time
	schedule []time.Time // from when each key is due
	accepts  []bool
	found    []bool // a run has asked and was told no
	live     int    // number of the live key, 0 is one that somebody set by hand
	was      map[int]bool
	memory   Memory
}

func newKeyWalk(r dice, now time.Time) *keyWalk {
	w := &keyWalk{dice: r, now: now, live: 1, was: map[int]bool{1: true}}
	for i := range 2 + r.IntN(4) {
		var k time.Time
		if i > 0 && r.chance(85) {
			k = now.Add(time.Duration(r.IntN(60)) * time.Hour)
		}
		w.schedule, w.accepts, w.found = append(w.schedule, k), append(w.accepts, r.chance(70)), append(w.found, false)
	}
	w.memory = Memory{Known: true, Connections: map[string]Remembered{"strava": {Fields: map[string]string{
		FieldState: "active", FieldClientID: "1", FieldClientSecret: w.digest(1)}}}}
	return w
}

func (w *keyWalk) digest(key int) string { return fmt.Sprintf("%s%d", digestMark, key) }

// due is the number of the key that is due, 0 for none.
func (w *keyWalk) due() int {
	key := len(w.schedule)
	for key > 0 && (w.found[key-1] || w.schedule[key-1].After(w.now)) {
		key--
	}
	return key
}

func (w *keyWalk) input() facts {
	due := w.due()
	d := Desired{Provider: "strava", Origin: "strava.yaml:1", State: Active, Credentials: true, Keys: len(w.schedule),
		ClientID: Setting[string]{Mode: Given, Value: "1"}, WasLive: w.was[due], LiveSince: w.now.Add(-time.Hour)}
	if due > 0 {
		d.Secret = Setting[Secret]{Mode: Given, Value: Secret{Sealed: fmt.Sprint("sealed-", due), Digest: w.digest(due), Key: due}}
		d.SecretReason = "due"
	}
	for i := len(w.schedule) - 1; i >= due; i-- {
		if w.found[i] && !w.schedule[i].After(w.now) {
			d.Rejected = &RejectedKey{Key: i + 1, Sealed: fmt.Sprint("sealed-", i+1), Origin: "strava.yaml:9", Reason: "the provider rejects it", At: w.now}
			break
		}
	}
	seen := Comparison{Result: Differs, LiveKey: w.live, Asked: true}
	if w.live == due {
		seen.Result = Equal
	}
	return facts{
		Now: w.now, Desired: []Desired{d}, Memory: w.memory, Probes: map[string]Probe{},
		Environment: Environment{Name: "production", Origin: "environment.yaml:1", CapCount: 9, CapPercent: 100, MaxRotations: 9, RevertDrift: true,
			RevertSecretDrift: w.chance(30)},
		Observed: map[string]Observed{"strava": {Active: true, Variant: "standard", Secret: seen,
			Credentials: &Credentials{Set: true, ClientID: "1", Mask: fmt.Sprint("****000", w.live)}}},
	}
}

// run plans once, asks about the key that is due, as a run does until no mark is
// new, and applies what is ready. It gives the numbers of the keys written.
func (w *keyWalk) run() (Plan, facts, []int) {
	in := w.input()
	if in.Asks = w.chance(60); in.Asks {
		for due := w.due(); due > 0 && w.live != due && w.chance(90); due = w.due() {
			if w.accepts[due-1] {
				in.Probes["strava"] = Probe{Verdict: Good, At: w.now}
				break
			}
			w.found[due-1] = true
			in = w.input()
			in.Asks = true
		}
	}
	in.ApprovedAll = w.chance(25)
	p, applied, wrote := planOf(in), map[string]bool{}, []int(nil)
	for _, c := range p.Changes {
		if applied[c.ID] = c.Gate == Ready; c.Gate != Ready {
			continue
		}
		for _, f := range c.Fields {
			if f.Field == FieldClientSecret {
				wrote = append(wrote, f.To.Key)
			}
		}
	}
	w.memory = rememberOf(in, p, applied)
	return p, in, wrote
}

// TestRandomTimesNeverGoBack moves random keys through time. The key that is due
// falls only where a key was found to be rejected in that very run; no write
// replaces a pair by one that is known to be rejected; an older key is written
// only over one that is, or with a yes.
func TestRandomTimesNeverGoBack(t *testing.T) {
	start, writes, falls, steps := at(t, randomNow), 0, 0, 0
	random(t, func(t *testing.T, r dice, _ facts) {
		w := newKeyWalk(r, start)
		for range 6 {
			steps++
			before, live, known := w.due(), w.live, append([]bool{}, w.found...)
			w.now = w.now.Add(time.Duration(r.IntN(24)) * time.Hour)
			if w.chance(10) {
				live, w.live = 0, 0 // somebody sets a key by hand
			}
			later := w.due()
			p, in, wrote := w.run()
			for _, problem := range broken(in, p) {
				t.Fatal(problem)
			}
			if later < before {
				t.Fatalf("the key that is due falls from %d to %d as time moves", before, later)
			}
			if w.due() < later {
				falls++
				if fmt.Sprint(known) == fmt.Sprint(w.found) {
					t.Fatalf("the key that is due falls from %d to %d, and no key was found to be rejected", later, w.due())
				}
			}
			for _, key := range wrote {
				writes++
				if w.found[key-1] {
					t.Fatalf("key %d is written, and is known to be rejected", key)
				}
				if key < live && !w.found[live-1] && !in.ApprovedAll {
					t.Fatalf("key %d is written over key %d, which nobody rejected", key, live)
				}
				w.live, w.was[key] = key, true
			}
		}
	})
	if writes < randomPlans() || falls < randomPlans()/100 {
		t.Errorf("%d writes, %d falls: too few to prove anything", writes, falls)
	}
	t.Logf("COUNT plan_random_time_steps=%d", steps)
	t.Logf("COUNT plan_random_key_writes=%d", writes)
}
