package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
)

// keyBar is the age of a live key beside the age that its file allows.
type keyBar struct {
	Name, Href string
	Ages       bool // its file allows an age
	Filled     int  // of a hundred
	Age        string
	State      string // "" where there is nothing to say
	Tone       string
}

func keyBarOf(k keys.Status) keyBar {
	out := keyBar{Name: clean(k.Connection), Href: connectionPath(k.Connection), Age: "age not known", Tone: "good"}
	switch {
	case k.AgeDays != nil && k.MaxAgeDays > 0:
		out.Age = fmt.Sprintf("%d of %d days", *k.AgeDays, k.MaxAgeDays)
		out.Ages, out.Filled = true, used(k)
	case k.AgeDays != nil:
		out.Age = fmt.Sprintf("%d days, no max_age", *k.AgeDays)
	}
	switch k.State {
	case keys.LiveRejected, keys.Overdue, keys.OutOfBand:
		out.Tone = "bad"
	case keys.Rejected, keys.Held, keys.Expiring:
		out.Tone = "held"
	case keys.Due, keys.Soaking, keys.OK, keys.Unknown:
	}
	if k.State != keys.OK {
		out.State = strings.ReplaceAll(clean(k.Words()), "-", " ")
	}
	return out
}

// used is how much of its time a key has used, in a hundredth of it.
func used(k keys.Status) int {
	if k.AgeDays == nil || k.MaxAgeDays == 0 {
		return 0
	}
	return min(100, *k.AgeDays*100/k.MaxAgeDays)
}

// keys are the keys that somebody has to see to, and the oldest of the others.
func (p *overviewPage) keys(all []seen) {
	var list []keys.Status
	for _, e := range all {
		list = append(list, e.last.Keys...)
	}
	rank := func(k keys.Status) int {
		switch {
		case k.Needs():
			return 0
		case k.State == keys.Soaking || k.State == keys.Due:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b keys.Status) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(used(b), used(a)), cmp.Compare(a.Connection, b.Connection))
	})
	p.MoreKeys = max(0, len(list)-maxKeys)
	for _, k := range list[:min(len(list), maxKeys)] {
		p.Keys = append(p.Keys, keyBarOf(k))
	}
}

// keyWord says what is the matter with the key of a connection.
func keyWord(list []keys.Status, connection string) string {
	for _, k := range list {
		if k.Connection == connection && k.Needs() {
			return "key " + keyBarOf(k).State
		}
	}
	return lookOf(key).Word
}
