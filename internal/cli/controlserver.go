package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const (
	longestPause  = 30 * 24 * time.Hour
	longestReason = 200 // characters
)

// controlServer answers, from an open state, what anybody may ask the process that
// holds it.
type controlServer struct {
	store *state.Store
	now   func() time.Time
	named func() []state.Known // beside those that the state knows; may be nil
	// running tells whether a run of an environment is under way; nil: none is.
	running func(environment string) bool
}

// Pause holds every change of a target from now on.
func (c controlServer) Pause(r daemon.PauseRequest) (daemon.Pause, error) {
	most := int64(longestPause / time.Second)
	switch {
	case r.Seconds <= 0 || r.Seconds > most:
		return daemon.Pause{}, errors.New("a pause lasts between 1s and 720h (30 days); for longer commit a `suspend`")
	case strings.TrimSpace(r.Reason) == "" || len([]rune(r.Reason)) > longestReason || strings.ContainsFunc(r.Reason, unicode.IsControl):
		return daemon.Pause{}, fmt.Errorf("the reason is one line of at most %d characters", longestReason)
	}
	s, err := c.target(r.Target)
	if err != nil {
		return daemon.Pause{}, fmt.Errorf("pause %s: %w", targetWords(r.Target), err)
	}
	s.Reason, s.Owner, s.Since = strings.TrimSpace(r.Reason), r.Owner, c.now().UTC()
	s.Until = s.Since.Add(time.Duration(r.Seconds) * time.Second)
	return pauseOf(s), c.store.SetKillSwitch(s)
}

// Resume lifts the kill switch on exactly this target, and says which others go on
// holding the same or a part of it. Where none is on exactly that, the error names
// those that hold it and what lifts them.
func (c controlServer) Resume(r daemon.ResumeRequest) (daemon.Resumed, error) {
	now := c.now()
	all, err := c.store.KillSwitches(now)
	if err != nil {
		return daemon.Resumed{}, err
	}
	target := strings.Trim(r.Target, "/")
	if target == "" && r.Target != "" { // two empty variables of a script
		return daemon.Resumed{}, fmt.Errorf("resume %q: %w", r.Target, errNamesNothing)
	}
	i := slices.IndexFunc(all, func(s state.KillSwitch) bool { return s.Target() == target })
	switch {
	case len(all) == 0:
		return daemon.Resumed{}, fmt.Errorf("resume %s: nothing is paused", targetWords(target))
	case i < 0:
		return daemon.Resumed{}, fmt.Errorf("resume %s: no pause is on exactly that; pauses there are: %s", targetWords(target), c.pausedWords(target, all))
	}
	out := daemon.Resumed{Pause: pauseOf(all[i]), Still: []daemon.Pause{}}
	for j, other := range all {
		if j != i && overlap(all[i], other) {
			out.Still = append(out.Still, pauseOf(other))
		}
	}
	_, err = c.store.LiftKillSwitch(target, r.Owner, now)
	return out, err
}

// pausedWords lists the pauses, and how those are lifted that hold a target.
func (c controlServer) pausedWords(target string, all []state.KillSwitch) string {
	asked, err := c.target(target)
	var on, lifts []string
	for _, s := range all {
		on = append(on, targetWords(s.Target()))
		if err == nil && target != "" && overlap(asked, s) {
			lifts = append(lifts, targetWords(s.Target()))
		}
	}
	words := strings.Join(on, ", ")
	if len(lifts) > 0 {
		words += "; what holds it is the pause of " + strings.Join(lifts, " and of ")
	}
	return words
}

// overlap tells whether two kill switches are about something in common.
func overlap(a, b state.KillSwitch) bool {
	if a.Environment == "" || b.Environment == "" {
		return true
	}
	at := func(name, devID string) bool {
		one, heldByA := a.Holds(name, devID)
		other, heldByB := b.Holds(name, devID)
		return heldByA && heldByB && (one == "" || other == "" || one == other)
	}
	ids := slices.Concat(a.DevIDs, a.Whole, b.DevIDs, b.Whole)
	return at(a.Environment, "") || at(b.Environment, "") || slices.ContainsFunc(ids, func(id string) bool { return at("", id) })
}

// Pauses gives those that are on.
func (c controlServer) Pauses() ([]daemon.Pause, error) {
	all, err := c.store.KillSwitches(c.now())
	out := []daemon.Pause{}
	for _, s := range all {
		out = append(out, pauseOf(s))
	}
	return out, err
}

var errNamesNothing = errors.New("it names neither an environment nor a connection; without any name it is everything")

// KeyAccepted lifts the rejection of a key that somebody who does not hold the state
// heard to be accepted. Where there is none it does nothing.
func (c controlServer) KeyAccepted(a daemon.AcceptedKey) (daemon.AcceptedKey, error) {
	known, err := c.known()
	if err != nil {
		return a, err
	}
	if !slices.ContainsFunc(known, func(e state.Known) bool { return e.DevID == a.DevID }) {
		return a, fmt.Errorf("accept key: no environment has the dev_id %q", a.DevID)
	}
	return a, acceptKey(c.store, a, c.now())
}

// Forget drops what is remembered of a connection, of every account that had it. While a
// run is under way it refuses: that run would remember again what it has seen.
func (c controlServer) Forget(r daemon.ForgetRequest) (string, error) {
	name, provider := environmentAndProvider(r.Connection)
	if c.running != nil && c.running(name) {
		return "", fmt.Errorf("forget %s: a run of %s is under way, and would remember it again; forget it when that has ended", r.Connection, name)
	}
	known, err := c.known()
	if err != nil {
		return "", err
	}
	forgotten := false
	for _, e := range known {
		if e.Environment != name {
			continue
		}
		accounts, err := c.store.EnvironmentsOf(e.DevID)
		if err != nil {
			return "", err
		}
		for _, env := range accounts {
			line := state.Entry{ID: rand.Text(), At: c.now(), Event: state.EventForgotten, Environment: name, DevID: e.DevID, Connection: r.Connection, Provider: provider, Owner: r.Owner}
			had, err := c.store.Forget(env, provider, line)
			if err != nil {
				return "", err
			}
			forgotten = forgotten || had
		}
	}
	if !forgotten {
		return "", fmt.Errorf("forget %s: nothing is remembered of it", r.Connection)
	}
	return r.Connection, nil
}

// Backup copies the state.
func (c controlServer) Backup(w io.Writer) error { return c.store.Backup(w) }

// environmentAndProvider are the parts of ENV/CONN; an environment's name may hold slashes
// itself. Without a slash the first is "".
func environmentAndProvider(connection string) (environment, provider string) {
	environment, provider = path.Split(connection)
	return strings.TrimSuffix(environment, "/"), provider
}

func pauseOf(s state.KillSwitch) daemon.Pause {
	return daemon.Pause{Target: s.Target(), Reason: s.Reason, Owner: s.Owner, Since: s.Since, Until: s.Until}
}

// target finds what ENV or ENV/CONN means; an environment's name may hold slashes
// itself, and what is the name of one and that of a connection holds both. A kill switch
// on a name that was typed wrong would hold nothing, so an unknown one is an error, as
// long as any is known.
func (c controlServer) target(text string) (state.KillSwitch, error) {
	given := text
	switch text = strings.Trim(text, "/"); {
	case given == "":
		return state.KillSwitch{}, nil
	case text == "":
		return state.KillSwitch{}, errNamesNothing
	}
	known, err := c.known()
	if err != nil {
		return state.KillSwitch{}, err
	}
	whole := devIDsOf(known, text)
	environment, provider := text, ""
	if at := strings.LastIndexByte(text, '/'); at > 0 {
		environment, provider = text[:at], strings.ToLower(text[at+1:])
	}
	ids := devIDsOf(known, environment)
	switch {
	case provider != "" && (len(ids) > 0 || len(known) == 0):
		err := c.checkProvider(provider, ids)
		if err == nil {
			return state.KillSwitch{Environment: environment, DevIDs: ids, Provider: provider, Whole: whole}, nil
		}
		if len(whole) == 0 {
			return state.KillSwitch{}, err
		}
		return state.KillSwitch{Environment: text, DevIDs: whole}, nil
	case len(whole) > 0:
		return state.KillSwitch{Environment: text, DevIDs: whole}, nil
	case len(known) == 0:
		return state.KillSwitch{Environment: text}, nil
	}
	var names []string
	for _, e := range known {
		names = append(names, e.Environment)
	}
	slices.Sort(names)
	return state.KillSwitch{}, fmt.Errorf("no environment of that name is known; there is %s (without a name the pause is of everything)",
		strings.Join(slices.Compact(names), ", "))
}

func (c controlServer) known() ([]state.Known, error) {
	known, err := c.store.Known()
	if err == nil && c.named != nil {
		known = append(known, c.named()...)
	}
	return known, err
}

func devIDsOf(known []state.Known, name string) []string {
	var ids []string
	for _, e := range known {
		if e.Environment == name || strings.EqualFold(e.DevID, name) {
			ids = append(ids, e.DevID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// checkProvider takes a provider that is in the catalogue or remembered.
func (c controlServer) checkProvider(slug string, devIDs []string) error {
	if _, ok := providers.Lookup(slug); ok {
		return nil
	}
	for _, id := range devIDs {
		known, err := c.store.EnvironmentsOf(id)
		for _, env := range known {
			memory, err := c.store.Memory(env)
			if err != nil {
				return err
			}
			if _, ok := memory.Connections[slug]; ok {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
	hint := ""
	if near := spec.Nearest(slug, slugs()); near != "" {
		hint = "did you mean " + near + "? "
	}
	return fmt.Errorf("no connection %q is known; %swithout a name of one the pause is of the whole environment", slug, hint)
}
