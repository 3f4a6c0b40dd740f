package providers

import (
	"strings"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Standing is what a provider still needs in one environment.
type Standing struct {
	Environment string
	Steps       []string // names; none: nothing is open
}

// Table returns the providers as plain text of at most 80 columns, save for
// addresses that are longer: a head line and, for each provider, its slug,
// whether own keys are needed, whether a pair can be proved, its portal, then
// why, then what is open. Open steps are given by slug; a provider without an
// entry is used nowhere.
func Table(ps []Provider, open map[string][]Standing) string {
	var b strings.Builder
	b.WriteString(row("PROVIDER", "OWN KEYS", "PROBE", "PORTAL"))
	for _, p := range ps {
		probe, portal := "no", p.Portal
		if p.Probe != nil {
			probe = "yes"
		}
		if portal == "" {
			portal = "-"
		}
		b.WriteString(row(p.Slug, p.Keys.String(), probe, portal))
		indent := strings.Repeat(" ", slugWidth+1)
		b.WriteString(wrap(indent, indent, p.Why))
		for _, o := range open[p.Slug] {
			text := "nothing open"
			if len(o.Steps) > 0 {
				text = "open: " + strings.Join(o.Steps, ", ")
			}
			b.WriteString(wrap(indent+o.Environment+": ", indent+"  ", text))
		}
	}
	return b.String()
}

const slugWidth = 15

func row(slug, keys, probe, portal string) string {
	return pad(slug, slugWidth) + pad(keys, 8) + pad(probe, 5) + portal + "\n"
}

// OpenSteps lists the names of the steps that are not shown to be done, gates
// and warnings alike, in the order in which they are taken.
func (p Provider) OpenSteps(c spec.Connection, seen Seen) []string {
	if c.State == spec.Disabled {
		return nil
	}
	var names []string
	marks := p.Marks(c, seen)
	for _, s := range p.Steps {
		if s.Proof != Advice && marks[s.Name] == StepOpen {
			names = append(names, s.Name)
		}
	}
	return names
}
