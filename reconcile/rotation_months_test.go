package reconcile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// months is one connection through months in which anything happens: keys are made,
// scheduled and pruned, die, come back, are set by hand; providers are down, states
// are lost.
type months struct {
	*world
	p      *provider
	random *rand.Rand
	keys   []key
	sealed map[string]string // by secret, so that an entry stays one
	made   int
}

func (m *months) newSecret() string {
	m.made++
	return fmt.Sprintf("%036x%04x", m.made, 0xa000+m.made)
}

// commit writes the keys as they are now.
func (m *months) commit() {
	var b strings.Builder
	b.WriteString("provider: strava\ncredentials:\n  client_id: \"123456\"\n  keys:\n")
	for _, k := range m.keys {
		if m.sealed[k.secret] == "" {
			m.sealed[k.secret] = m.seal("strava", "client_secret", k.secret, "        ")
		}
		b.WriteString("    - client_secret: " + m.sealed[k.secret])
		if k.from != "" {
			b.WriteString("      not_before: " + k.from + "\n")
		}
	}
	m.write("production/strava.yaml", b.String())
}

// happen lets one thing happen, and tells what.
func (m *months) happen() string {
	live := m.liveSecret()
	switch m.random.IntN(9) {
	case 0, 1: // as rotate add does, at its place
		fresh := key{m.newSecret(), m.now.Add(time.Duration(m.random.IntN(200)) * time.Hour).Format(time.RFC3339)}
		if m.random.IntN(3) > 0 {
			m.p.accepts = append(m.p.accepts, fresh.secret)
		}
		at, _ := slices.BinarySearchFunc(m.keys, fresh, func(a, b key) int { return strings.Compare(a.from, b.from+"~") })
		m.keys = slices.Insert(m.keys, at, fresh)
		m.commit()
		return "a key is added"
	case 2:
		m.p.accepts = slices.DeleteFunc(m.p.accepts, func(s string) bool { return s == live })
		return "the live key dies"
	case 3:
		m.p.accepts = append(m.p.accepts, m.keys[m.random.IntN(len(m.keys))].secret)
		return "a key comes back"
	case 4:
		m.p.down = !m.p.down
		return "the provider goes or comes"
	case 5:
		byHand := m.newSecret()
		if m.random.IntN(2) == 0 {
			byHand = m.keys[m.random.IntN(len(m.keys))].secret
		}
		m.p.accepts = append(m.p.accepts, byHand)
		m.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: byHand})
		return "somebody sets a key by hand"
	case 6:
		if m.random.IntN(4) == 0 {
			m.stateDir = m.t.TempDir()
			return "the state is lost"
		}
	}
	return "time passes"
}

// run applies, and demands of what it wrote that it was no harm.
func (m *months) check(what string) {
	m.t.Helper()
	before := m.liveSecret()
	m.apply()
	after := m.liveSecret()
	inFile := slices.ContainsFunc(m.keys, func(k key) bool { return k.secret == before })
	works := func(secret string) bool { return contains(m.p.accepts, secret) }
	switch {
	case after == before:
	case !m.p.down && !works(after):
		m.t.Fatalf("%s, %s: a key that the provider rejects was set", m.now, what)
	case m.p.down && !inFile:
		m.t.Fatalf("%s, %s: a key set by hand was replaced, and nobody could prove the new one", m.now, what)
	}
}

// prune takes out what the report names, which must change nothing.
func (m *months) prune() int {
	m.t.Helper()
	named := m.keyStatus(m.dryRun()).Prunable
	if len(named) == 0 || len(named) == len(m.keys) {
		return 0
	}
	live := m.liveSecret()
	for _, n := range slices.Backward(named) {
		if m.keys[n-1].secret == live {
			m.t.Fatalf("%s: key %d is live, and can be removed, it says", m.now, n)
		}
		m.keys = slices.Delete(m.keys, n-1, n)
	}
	m.commit()
	m.apply()
	if m.liveSecret() != live {
		m.t.Fatalf("%s: without keys %v another key is live", m.now, named)
	}
	return len(named)
}

func TestRotationsOverMonthsInWhichAnythingHappens(t *testing.T) {
	t.Parallel()
	const steps = 25
	worlds := walk.Times(30)
	seed := walk.Seed(t)
	pruned := 0
	for n := range worlds {
		w, p := rotating(t)
		w.planted = nil
		m := &months{world: w, p: p, random: rand.New(rand.NewPCG(uint64(seed), uint64(n))), sealed: map[string]string{},
			keys: []key{{secretA, ""}, {secretB, "2026-12-01T02:00:00Z"}}}
		m.commit()
		m.apply()
		for range steps {
			w.now = w.now.Add(61*time.Minute + time.Duration(m.random.IntN(50))*time.Hour)
			m.check(m.happen())
			if m.random.IntN(3) == 0 {
				pruned += m.prune()
			}
		}
	}
	if pruned == 0 && walk.Large() {
		t.Error("nothing was ever pruned")
	}
	t.Logf("COUNT rotation_random_steps=%d", worlds*steps)
}
