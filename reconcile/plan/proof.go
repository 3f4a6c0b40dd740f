package plan

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Proof is how a file wants a new secret proved before it is written and watched after.
type Proof struct {
	Probe       string  `json:"probe"` // require, prefer, off
	SoakHours   float64 `json:"soak_hours"`
	MaxUserDrop int     `json:"max_user_drop"` // percent
}

// ProofOf is the proof that a file asks for.
func ProofOf(probe string, soak time.Duration, maxUserDrop int) Proof {
	return Proof{Probe: probe, SoakHours: soak.Hours(), MaxUserDrop: maxUserDrop}
}

// prove says with each change that writes a secret how that is proved and watched.
func prove(changes []Change, want Desired) {
	for i := range changes {
		if c := &changes[i]; want.Proof != (Proof{}) && writesSecret(*c) {
			c.Proof = &want.Proof
		}
	}
}

// writesSecret tells whether a change sends a client secret, which travels with a new
// client_id, too.
func writesSecret(c Change) bool {
	return c.Action == SetCredentials || has(c.Fields, FieldClientSecret) || has(c.Fields, FieldClientID)
}

// ProvedAs is a plan as it would be named if its secrets were proved and watched as those
// of another: what makes that laxer is for [Compare] to say.
func ProvedAs(p, other Plan) Plan {
	p.Changes = slices.Clone(p.Changes)
	for i := range p.Changes {
		c := &p.Changes[i]
		at := slices.IndexFunc(other.Changes, func(o Change) bool { return o.Connection == c.Connection && o.Action == c.Action })
		if c.Proof != nil && at >= 0 {
			c.Proof = other.Changes[at].Proof
		}
	}
	return p
}

// laxer gives the settings by which a secret that was shown is proved, or watched, less
// than it was shown with.
func laxer(shown, now Plan) []Difference {
	var out []Difference
	for _, c := range now.Changes {
		at := slices.IndexFunc(shown.Changes, func(s Change) bool {
			return s.Connection == c.Connection && s.Action == c.Action && s.Proof != nil
		})
		if at < 0 || c.Proof == nil {
			continue
		}
		was, is := *shown.Changes[at].Proof, *c.Proof
		add := func(field, from, to string) {
			d := Difference{Kind: Laxer, Connection: c.Connection, Action: c.Action}
			d.Shown.FieldChange, d.Now.FieldChange = FieldChange{Field: field, To: text(from)}, FieldChange{Field: field, To: text(to)}
			out = append(out, d)
		}
		strict := []string{"off", "prefer", "require"}
		if slices.Index(strict, is.Probe) < slices.Index(strict, was.Probe) {
			add("rotation.probe", was.Probe, is.Probe)
		}
		if is.SoakHours < was.SoakHours {
			add("rotation.soak", soakText(was), soakText(is))
		}
		if is.MaxUserDrop > was.MaxUserDrop {
			add("rotation.max_user_drop", strconv.Itoa(was.MaxUserDrop), strconv.Itoa(is.MaxUserDrop))
		}
	}
	return out
}

func soakText(p Proof) string { return fmt.Sprintf("%gh", p.SoakHours) }
