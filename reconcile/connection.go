package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Connection is everything known of one connection in one run: one that a file names,
// that Terra has or that is remembered. It goes through the stages of environment.run,
// each of which fills in its own fields and only reads the others;
// TestStagesWriteTheirOwnFields and TestFilesWriteTheFieldsOfTheirStage hold them to that.
type Connection struct {
	// Connection is what the plan is made from. recall fills in Remembered, observe
	// Observed and Type, review keys Desired, measure Users and Probe.
	plan.Connection

	// recall
	Name        string           // production/strava
	File        *spec.Connection // nil: no file names it
	keysAtStart keys.History     // of its keys, as it is stored

	// resolve: what the file asks for at this time.
	catalogue    providers.Provider // zero where it is not listed
	listed       bool               // in the catalogue
	found        findings
	resolved     plan.Desired   // without what the stages below add
	Keys         keys.Set       // of the file; its history goes on in measure and remember
	sealed       []sealedSecret // the same, by position in the file; zero where unknown
	due          int            // number of the key that is due, 0 for none
	verification sealedSecret   // zero where the file has none

	// observe: what Terra answers.
	source  terra.Source   // zero where it is not live
	answers *plan.Observed // what is managed, before its secrets are compared; nil: not read

	// check: what the catalogue says.
	checked       findings
	waits         []plan.Prerequisite
	tokenLifetime time.Duration // how long a bad secret can stay unseen; 0 unknown

	// plan; guard and apply go on in place.
	Changes []report.Change

	// measure
	soakUsers *plan.Users    // active end users of a soaking key; nil: not counted
	dead      int            // number of a replaced key that was found dead, 0 for none
	warnings  []plan.Warning // of the review of its keys

	// apply
	begun   *keys.History // history, where a soak began in this run
	refusal string        // not "": Terra would not take the key because its provider does not
	control keys.Control  // what the provider said of the live pair then

	sharedDomain    string // that Terra answered to be shared and to serve; "" for none
	defaultRedirect string // what Terra answered to redirect_url: null, on a host that is not known as its own; "" for none
}

// live is what Terra shows of it; the zero value where it is not live.
func (c *Connection) live() plan.Observed {
	if c.Observed == nil {
		return plan.Observed{}
	}
	return *c.Observed
}

// findings is what speaks against a connection, and what there is to say of it.
type findings struct {
	unreadable string // not "": why it cannot be planned
	warnings   []plan.Warning
}

// fail keeps a connection from being planned, if nothing does so far.
func (f *findings) fail(why string) { f.unreadable = cmp.Or(f.unreadable, why) }

// take adds findings of the catalogue. The first error keeps a connection from being
// planned, what else there is are warnings.
func (f *findings) take(found []providers.Finding) {
	for _, one := range found {
		w := plan.Warning{Connection: at(one.Origin), Cause: one.Message, Text: one.Message}
		if w.Connection != "" {
			w.Text = w.Connection + ": " + w.Text
		}
		if one.Hint != "" {
			w.Remediations = []plan.Remediation{{Kind: plan.ByCommit, Text: one.Hint, Command: strings.Fields(one.Command)}}
		}
		if one.Severity == spec.Error && f.unreadable == "" {
			if f.unreadable = w.Text; one.Hint != "" {
				f.unreadable += "; " + one.Hint
			}
		} else {
			f.warnings = append(f.warnings, w)
		}
	}
}

// at is file:line of an origin, as plans and reports show it.
func at(o spec.Origin) string {
	if o.File == "" {
		return ""
	}
	return o.File + ":" + strconv.Itoa(o.Line)
}

// add gives the connection of a provider, a new one where there is none yet.
func (env *environment) add(provider string) *Connection {
	i, found := slices.BinarySearchFunc(env.connections, provider, func(c *Connection, p string) int { return cmp.Compare(c.Provider, p) })
	if !found {
		c := &Connection{Name: env.spec.Name + "/" + provider}
		c.Provider, c.Aside = provider, !env.selects(provider)
		env.connections = slices.Insert(env.connections, i, c)
	}
	return env.connections[i]
}

// named gives the connections that files name and that the run is about.
func (env *environment) named() []*Connection {
	return slices.DeleteFunc(slices.Clone(env.connections), func(c *Connection) bool { return c.File == nil || c.Aside })
}

// selects tells whether the run is about a connection.
func (env *environment) selects(provider string) bool {
	all := env.request.Select
	return len(all) == 0 || slices.Contains(all, provider) || slices.Contains(all, env.spec.Name+"/"+provider) || slices.Contains(all, env.spec.Name+"/*")
}

// warn adds what there is to say of the environment, each once.
func (env *environment) warn(texts ...string) {
	env.mu.Lock()
	defer env.mu.Unlock()
	for _, text := range texts {
		if !slices.ContainsFunc(env.out.Warnings, func(w plan.Warning) bool { return w.Text == text }) {
			env.out.Warn(plan.Warning{Text: text})
		}
	}
}

// toDo is what an error says to do, for a report.
func toDo(err error) []plan.Remediation {
	out := []plan.Remediation{}
	for _, a := range advice.All(err) {
		kind := plan.ByCommand
		if len(a.Command) == 0 {
			kind = plan.ByStep
		}
		out = append(out, plan.Remediation{Kind: kind, Text: a.Text, Command: a.Command})
	}
	return out
}

// warningOf is a warning about the files of the repository, for a report.
func warningOf(p spec.Problem) plan.Warning {
	out := plan.Warning{Text: p.What()}
	if p.Hint != "" {
		out.Remediations = []plan.Remediation{{Kind: plan.ByCommit, Text: p.Hint, Command: strings.Fields(p.Command)}}
	}
	return out
}

// firstError tells of the first error of an environment, or of the whole commit, and
// that there are more.
func firstError(problems []spec.Problem, environment string) error {
	var errs []spec.Problem
	for _, p := range problems {
		if p.Severity == spec.Error && p.Environment == environment {
			errs = append(errs, p)
		}
	}
	switch {
	case len(errs) == 0:
		return nil
	case len(errs) > 1:
		return advice.With(fmt.Errorf("%s; and %d more", errs[0].Text(), len(errs)-1), "list all of them", "validate")
	case errs[0].Command != "":
		return advice.With(errors.New(errs[0].What()), errs[0].Hint, strings.Fields(errs[0].Command)...)
	}
	return errors.New(errs[0].Text())
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
