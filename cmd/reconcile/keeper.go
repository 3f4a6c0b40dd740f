package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const (
	longestPause  = 30 * 24 * time.Hour
	longestReason = 200  // characters
	longestAnswer = 1000 // bytes
)

// pairDigest is what a pair is named by, as the state's own key makes it.
var pairDigest = regexp.MustCompile(`^hmac-sha256:[0-9a-f]{64}$`)

// keeper answers, from an open state, what anybody may ask the process that
// holds it.
type keeper struct {
	store *state.Store
	now   func() time.Time
	named func() []state.Known // beside those that the state knows; may be nil
}

// Pause holds every change of a target from now on.
func (k keeper) Pause(r daemon.PauseRequest) (daemon.Pause, error) {
	most := int64(longestPause / time.Second)
	switch {
	case r.Seconds <= 0 || r.Seconds > most:
		return daemon.Pause{}, errors.New("a pause lasts between 1s and 720h (30 days); for longer commit a `suspend`")
	case strings.TrimSpace(r.Reason) == "" || len([]rune(r.Reason)) > longestReason || strings.ContainsFunc(r.Reason, unicode.IsControl):
		return daemon.Pause{}, fmt.Errorf("the reason is one line of at most %d characters", longestReason)
	}
	s, err := k.target(r.Target)
	if err != nil {
		return daemon.Pause{}, fmt.Errorf("pause %s: %w", targetWords(r.Target), err)
	}
	s.Reason, s.Owner, s.Since = strings.TrimSpace(r.Reason), r.Owner, k.now().UTC()
	s.Until = s.Since.Add(time.Duration(r.Seconds) * time.Second)
	return pauseOf(s), k.store.SetKillSwitch(s)
}

// Resume lifts the kill switch on exactly this target, and says which others go on
// holding the same or a part of it. Where none is on exactly that, the error names
// those that hold it and what lifts them.
func (k keeper) Resume(r daemon.ResumeRequest) (daemon.Resumed, error) {
	now := k.now()
	all, err := k.store.KillSwitches(now)
	if err != nil {
		return daemon.Resumed{}, err
	}
	target := strings.Trim(r.Target, "/")
	i := slices.IndexFunc(all, func(s state.KillSwitch) bool { return s.Target() == target })
	if i < 0 {
		return daemon.Resumed{}, fmt.Errorf("resume %s: no pause is on exactly that; paused: %s", targetWords(target), k.pausedWords(target, all))
	}
	out := daemon.Resumed{Pause: pauseOf(all[i]), Still: []daemon.Pause{}}
	for j, other := range all {
		if j != i && overlap(all[i], other) {
			out.Still = append(out.Still, pauseOf(other))
		}
	}
	_, err = k.store.LiftKillSwitch(target, r.Owner, now)
	return out, err
}

// pausedWords lists the pauses, and how those are lifted that hold a target.
func (k keeper) pausedWords(target string, all []state.KillSwitch) string {
	if len(all) == 0 {
		return "nothing"
	}
	asked, err := k.target(target)
	var on, lifts []string
	for _, s := range all {
		on = append(on, targetWords(s.Target()))
		if err == nil && target != "" && overlap(asked, s) {
			lifts = append(lifts, resumeWords(s.Target()))
		}
	}
	words := strings.Join(on, ", ")
	if len(lifts) > 0 {
		words += "; what holds it is lifted with " + strings.Join(lifts, " and ")
	}
	return words
}

// overlap tells whether two kill switches are about something in common.
func overlap(a, b state.KillSwitch) bool {
	environment := a.Environment == "" || b.Environment == "" || a.Environment == b.Environment ||
		slices.ContainsFunc(a.DevIDs, func(id string) bool { return b.Concerns("", id) })
	return environment && (a.Provider == "" || b.Provider == "" || a.Provider == b.Provider)
}

// Pauses gives those that are on.
func (k keeper) Pauses() ([]daemon.Pause, error) {
	all, err := k.store.KillSwitches(k.now())
	out := []daemon.Pause{}
	for _, s := range all {
		out = append(out, pauseOf(s))
	}
	return out, err
}

// Remember keeps what a provider said to somebody who does not hold the state, as
// said now. It is an error about an environment that nobody knows of.
func (k keeper) Remember(a daemon.ProbeAnswer) (daemon.ProbeAnswer, error) {
	answer := plan.Probe{Verdict: plan.Verdict(a.Verdict), Reason: a.Reason, At: k.now().UTC()}
	switch {
	case !slices.Contains([]plan.Verdict{plan.Good, plan.Bad, plan.ProbeUnknown}, answer.Verdict):
		return a, fmt.Errorf("remember answer %q: it is good, bad or unknown", a.Verdict)
	case !pairDigest.MatchString(a.Pair):
		return a, errors.New("remember answer: its pair is not named by a digest")
	case len(a.Reason) > longestAnswer || strings.ContainsFunc(a.Reason, unicode.IsControl):
		return a, fmt.Errorf("remember answer: the reason is one line of at most %d bytes", longestAnswer)
	}
	known, err := k.known()
	if err != nil {
		return a, err
	}
	if !slices.ContainsFunc(known, func(e state.Known) bool { return e.DevID == a.DevID }) {
		return a, fmt.Errorf("remember answer: no environment has the dev_id %q", a.DevID)
	}
	return a, k.store.SaveProbe(a.DevID, a.Pair, answer)
}

// Backup copies the state.
func (k keeper) Backup(w io.Writer) error { return k.store.Backup(w) }

func pauseOf(s state.KillSwitch) daemon.Pause {
	return daemon.Pause{Target: s.Target(), Reason: s.Reason, Owner: s.Owner, Since: s.Since, Until: s.Until}
}

// target finds what ENV or ENV/CONN means; an environment's name may hold slashes
// itself. A kill switch on a name that was typed wrong would hold nothing, so an
// unknown one is an error, as long as any is known.
func (k keeper) target(text string) (state.KillSwitch, error) {
	text = strings.Trim(text, "/")
	if text == "" {
		return state.KillSwitch{}, nil
	}
	known, err := k.known()
	if err != nil {
		return state.KillSwitch{}, err
	}
	if ids := devIDsOf(known, text); len(ids) > 0 {
		return state.KillSwitch{Environment: text, DevIDs: ids}, nil
	}
	environment, provider := text, ""
	if at := strings.LastIndexByte(text, '/'); at > 0 {
		environment, provider = text[:at], strings.ToLower(text[at+1:])
	}
	ids := devIDsOf(known, environment)
	switch {
	case provider != "" && (len(ids) > 0 || len(known) == 0):
		if err := k.checkProvider(provider, ids); err != nil {
			return state.KillSwitch{}, err
		}
		return state.KillSwitch{Environment: environment, DevIDs: ids, Provider: provider}, nil
	case len(known) == 0:
		return state.KillSwitch{Environment: text}, nil
	}
	var names []string
	for _, e := range known {
		names = append(names, e.Environment)
	}
	slices.Sort(names)
	return state.KillSwitch{}, fmt.Errorf("no environment of that name is known; there is %s (without a name everything is paused)",
		strings.Join(slices.Compact(names), ", "))
}

func (k keeper) known() ([]state.Known, error) {
	known, err := k.store.Known()
	if err == nil && k.named != nil {
		known = append(known, k.named()...)
	}
	return known, err
}

func devIDsOf(known []state.Known, name string) []string {
	var ids []string
	for _, e := range known {
		if e.Environment == name || e.DevID == name {
			ids = append(ids, e.DevID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// checkProvider takes a provider that is in the catalogue or remembered.
func (k keeper) checkProvider(slug string, devIDs []string) error {
	if _, ok := providers.Lookup(slug); ok {
		return nil
	}
	for _, id := range devIDs {
		memory, err := k.store.Memory(id)
		if err != nil {
			return err
		}
		if _, ok := memory.Connections[slug]; ok {
			return nil
		}
	}
	hint := ""
	if near := spec.Nearest(slug, slugs()); near != "" {
		hint = "did you mean " + near + "? "
	}
	return fmt.Errorf("no connection %q is known; %s`reconcile providers` lists the names (without one the whole environment is paused)", slug, hint)
}

func targetWords(target string) string {
	if target == "" {
		return "everything"
	}
	return target
}
