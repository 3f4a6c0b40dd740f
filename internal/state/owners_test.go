package state

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// claimOf claims a name and a dev_id for acme, unless somebody has the name.
func claimOf(name, devID string) func(Owners) Owners {
	return func(o Owners) Owners {
		if _, taken := o.ByName[name]; taken {
			return o
		}
		owner := Owner{Repository: "acme", Address: "https://git.acme.example/terra"}
		o.ByName[name] = owner
		owner.Environment = name
		o.ByDevID[devID] = owner
		return o
	}
}

func TestOwnersAreKept(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Claim(claimOf("production", "Prod-1")))
	before := transactions(t, s)
	must(t, s.Claim(claimOf("production", "other")))
	must(t, s.Claim(func(o Owners) Owners { return o }))
	if after := transactions(t, s); after != before {
		t.Error("the same again is written")
	}
	must(t, s.SaveRevisions(nil, []Revision{{"Prod-1", "production", "g"}}))
	must(t, s.SaveRevisions([]Revision{{"Prod-1", "production", "g"}}, nil))
	closed(t, s)
	s = opened(t, dir)
	got, err := s.Owners()
	must(t, err)
	want := Owners{ByName: map[string]Owner{"production": {Repository: "acme", Address: "https://git.acme.example/terra"}},
		ByDevID: map[string]Owner{"prod-1": {Repository: "acme", Address: "https://git.acme.example/terra", Environment: "production"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the environment has gone and a restart (-want +got):\n%s", diff)
	}
	if owner, known := got.DevID("PROD-1"); !known || owner.Environment != "production" {
		t.Errorf("in other letters %+v, %t", owner, known)
	}
	if _, known := got.DevID("prod-2"); known {
		t.Error("somebody has what nobody claimed")
	}
}
