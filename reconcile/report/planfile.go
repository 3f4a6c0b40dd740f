package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const maxPlanFile = 64 << 20 // bytes

var commitHash = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`) })

// ReadPlan reads a plan file: what JSON wrote of a dry run of a commit that could
// plan every environment it names. Anything else is refused, and so is a file
// that was touched since, one that is maxAge or more old at now, and one from the
// future. What it says is not compared with anything else here.
func ReadPlan(source io.Reader, now time.Time, maxAge time.Duration) (Report, error) {
	r, err := readPlan(source, now, maxAge)
	if err != nil {
		return Report{}, advice.With(errors.New("read plan: "+clean(err.Error())), "make a new one", "plan", "--out", "plan.json")
	}
	return r, nil
}

func readPlan(source io.Reader, now time.Time, maxAge time.Duration) (Report, error) {
	text, err := io.ReadAll(io.LimitReader(source, maxPlanFile+1))
	switch {
	case err != nil:
		return Report{}, err
	case len(text) > maxPlanFile:
		return Report{}, fmt.Errorf("it is larger than %d MiB", maxPlanFile>>20)
	}
	if err := readableHere(text); err != nil {
		return Report{}, err
	}
	r, err := Decode(bytes.NewReader(text))
	if err != nil {
		return Report{}, fmt.Errorf("it was written by another version of reconcile, or changed since: %w", err)
	}
	for _, check := range []func(Report) error{isPlan, hashesFit, func(r Report) error { return fresh(r, now, maxAge) }} {
		if err := check(r); err != nil {
			return Report{}, err
		}
	}
	var again bytes.Buffer
	if err := JSON(&again, r); err != nil {
		return Report{}, err
	}
	if !bytes.Equal(text, again.Bytes()) {
		return Report{}, errors.New("it is not as reconcile wrote it: it was changed, or written by another version")
	}
	return r, nil
}

// readableHere tells what is wrong with the document before its fields are read.
func readableHere(text []byte) error {
	var head struct {
		Schema string `json:"schema"`
	}
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(text, &head); {
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("it is empty")
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(bytes.TrimRight(text, "\n"))):
		return fmt.Errorf("it is cut off after %d bytes", len(text))
	case err != nil:
		return fmt.Errorf("it is no JSON report: %w", err)
	case head.Schema == Schema:
		return nil
	case strings.HasPrefix(head.Schema, "terra-reconcile/report/"):
		return fmt.Errorf("its schema is %q, and this reconcile reads %q; use the reconcile that wrote it", head.Schema, Schema)
	}
	return fmt.Errorf("it is no report of reconcile: its schema is %q", head.Schema)
}

// isPlan: a dry run of a commit, whole and without an error.
func isPlan(r Report) error {
	switch {
	case r.Mode != DryRun:
		return fmt.Errorf("it is the report of a run with mode %q, not of a dry run", r.Mode)
	case r.PreviewOf != "":
		return fmt.Errorf("it is a preview of %s, which is no plan to apply: merge the commit first", clean(r.PreviewOf))
	case r.Error != "":
		return fmt.Errorf("it holds an error instead of a plan: %s", r.Error)
	case r.Commit == "worktree":
		return errors.New("it was made from files that are not committed; commit them first")
	case !commitHash().MatchString(r.Commit):
		return fmt.Errorf("its commit %q is none", r.Commit)
	case len(r.Environments) == 0:
		return errors.New("it has no environment")
	}
	seen := map[string]bool{}
	for _, e := range r.Environments {
		switch {
		case e.Name == "" || e.DevID == "" || seen[e.Name] || seen["dev_id "+e.DevID]:
			return fmt.Errorf("environment %q has no name or dev_id of its own", e.Name)
		case e.Error != "":
			return fmt.Errorf("environment %s has an error instead of a plan: %s", e.Name, e.Error)
		case len(e.MayHaveWritten) > 0:
			return fmt.Errorf("environment %s may have been changed by the dry run itself: %s", e.Name, strings.Join(e.MayHaveWritten, ", "))
		}
		for _, c := range e.Changes {
			if c.Outcome != "" {
				return fmt.Errorf("change %s of a dry run has the outcome %q", c.ID, c.Outcome)
			}
		}
		seen[e.Name], seen["dev_id "+e.DevID] = true, true
	}
	return nil
}

func hashesFit(r Report) error {
	for _, e := range r.Environments {
		if hash := plan.Hash(e.Plan()); hash != e.PlanHash {
			return fmt.Errorf("it was changed by hand: the changes of %s hash to %s, and it says %s", e.Name, hash, e.PlanHash)
		}
		hashes := plan.ConnectionHashes(e.Plan())
		for _, c := range e.Connections {
			if hashes[c.Name] != c.PlanHash {
				return fmt.Errorf("it was changed by hand: the changes of %s hash to %s, and it says %s", c.Name, hashes[c.Name], c.PlanHash)
			}
		}
	}
	return nil
}

func fresh(r Report, now time.Time, maxAge time.Duration) error {
	age := now.Sub(r.StartedAt)
	switch {
	case r.StartedAt.IsZero():
		return errors.New("it does not say when it was made")
	case age < 0:
		return fmt.Errorf("it is from the future: made %s, and it is %s here; look at both clocks", moment(r.StartedAt), moment(now))
	case age >= maxAge:
		return fmt.Errorf("it has expired: made %s, %s ago, and it serves for %s (--max-age)", moment(r.StartedAt), age.Round(time.Minute), maxAge)
	}
	return nil
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

const (
	differencesShown = 40 // lines
	sealedShown      = 19 // characters of a sealed token: sha256: and 12 digits
)

// Plan gives the plan that an environment of a report is about, as far as a
// report tells of it.
func (e Environment) Plan() plan.Plan {
	p := plan.Plan{Environment: e.Name, Account: e.Account, API: e.API, DevID: e.DevID, NotCompared: e.NotCompared, Unmanaged: e.Unmanaged, Unchanged: e.Summary.Unchanged}
	for _, c := range e.Changes {
		p.Changes = append(p.Changes, c.Change)
	}
	return p
}

// Differences says in words, a line each, in what a plan is not the one that was
// shown. The lines are safe to print.
func Differences(list []plan.Difference) string {
	var out []string
	for i, d := range list {
		if i == differencesShown {
			out = append(out, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		out = append(out, difference(d))
	}
	return strings.Join(out, "\n")
}

func difference(d plan.Difference) string {
	what := clean(d.Connection) + " " + clean(string(d.Action))
	switch d.Kind {
	case plan.Risen:
		return fmt.Sprintf("class rose: %s is %s now, was %s: %s", what, clean(string(d.Now.Class)), clean(string(d.Shown.Class)), clean(d.Now.ClassReason))
	case plan.Released:
		return fmt.Sprintf("not held any more: %s was shown as blocked by guard %s", what, clean(d.Shown.Guard))
	case plan.Laxer:
		return fmt.Sprintf("watched less: %s with %s %s now, was %s", what, clean(d.Now.Field), clean(*d.Now.To.Value), clean(*d.Shown.To.Value))
	case plan.Gone:
		return "gone: " + what + stepWords(d.Shown, false)
	case plan.Altered:
		sealed := sides(d.Shown, false) == sides(d.Now, false)
		return "altered: " + what + stepWords(d.Now, sealed) + due(d) + ", was " + sides(d.Shown, sealed)
	case plan.Added:
	}
	return "added: " + what + stepWords(d.Now, false) + due(d)
}

func stepWords(s plan.Step, sealed bool) string {
	if s.Field == "" {
		return ""
	}
	return " " + clean(s.Field) + " " + sides(s, sealed)
}

func sides(s plan.Step, sealed bool) string {
	return differing(s.From, sealed) + " -> " + differing(s.To, sealed)
}

// differing is a side in words, which for a secret are the same for two that
// differ: on demand what tells them apart.
func differing(v plan.FieldValue, sealed bool) string {
	words := middle(side(v), longestValue)
	switch {
	case sealed && v.Sealed != "":
		words += fmt.Sprintf(" (sealed %s…)", clean(v.Sealed[:min(len(v.Sealed), sealedShown)]))
	case sealed && v.Compared != "":
		words += " (" + clean(string(v.Compared)) + ")"
	}
	return words
}

func due(d plan.Difference) string {
	if d.Now.Due == 0 || d.Now.Due == d.Shown.Due {
		return ""
	}
	return fmt.Sprintf(" (key %d became due since)", d.Now.Due)
}

// takeSealed moves what a change sends of secrets out of its fields, which name
// keys by their numbers, to where a plan file keeps it.
func (c Change) takeSealed() Change {
	c.Fields, c.Sealed = slices.Clone(c.Fields), nil
	for i := range c.Fields {
		f := &c.Fields[i]
		f.From.Sealed = ""
		if f.To.Key == 0 || f.To.Sealed == "" {
			continue
		}
		if c.Sealed == nil {
			c.Sealed = map[string]string{}
		}
		c.Sealed[f.Field], f.To.Sealed = f.To.Sealed, ""
	}
	return c
}

// putSealed undoes takeSealed.
func (c Change) putSealed() Change {
	for i := range c.Fields {
		if f := &c.Fields[i]; f.To.Sealed == "" {
			f.To.Sealed = c.Sealed[f.Field]
		}
	}
	c.Sealed = nil
	return c
}
