package web

import (
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
)

// TestTheAgeOfAKeyNamesAllItsStates: an overdue key does not hide that its successor is refused.
func TestTheAgeOfAKeyNamesAllItsStates(t *testing.T) {
	t.Parallel()
	k := keyOf("production/strava", 97, keys.Overdue)
	k.Also = []keys.State{keys.Rejected}
	if got := keyBarOf(k); got.State != "overdue, rejected" || got.Tone != "bad" {
		t.Errorf("%q, %s", got.State, got.Tone)
	}
	if got := keyWord([]keys.Status{k}, k.Connection); got != "key overdue, rejected" {
		t.Errorf("%q", got)
	}
}
