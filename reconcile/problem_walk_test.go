package reconcile

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// problemsSampled is how many refusals of all that there are CI tries, as faultsSampled.
const problemsSampled = 120

// refusalAt is an answer that explains why nothing was done, to one call of a scene.
type refusalAt struct {
	scene, call, status int
	code                string
	lasting             bool
}

// TestProblemWalk answers each call of each scene by each refusal that the contract
// knows, as when somebody disables the source, the environment or the token between
// the look and the write. What TestFaultWalk wants holds here too.
func TestProblemWalk(t *testing.T) {
	t.Parallel()
	problems := []refusalAt{
		{status: 400, code: "validation_failed"}, {status: 401, code: "token_expired"}, {status: 403, code: "scope_missing"},
		{status: 403, code: "environment_disabled"}, {status: 404, code: "not_found"}, {status: 404, code: "dev_id_not_found"},
		{status: 409, code: "conflict"}, {status: 409, code: "not_ready"}, {status: 409, code: "idempotency_key_reuse"},
		{status: 412, code: "precondition_failed"}, {status: 422, code: "unsupported_operation"},
	}
	var before []*world
	var all []refusalAt
	w := newWorld(t)
	for i, s := range scenes() {
		before = append(before, w.clone())
		s.set(w)
		w.terra.ResetLog()
		w.apply()
		calls := w.terra.Log()
		w.inSync()
		for n, call := range calls {
			for _, p := range problems {
				if call.Operation == "getSourceDomain" && p.code == "not_found" {
					continue // the contract's word for none
				}
				p.scene, p.call = i, n+1
				all = append(all, p)
				p.lasting = true
				all = append(all, p)
			}
		}
	}
	chosen, seed := walk.Sample(t, all, problemsSampled, func(p refusalAt) string { return p.code })
	t.Logf("COUNT problem_walk_seed=%d", seed)
	t.Logf("COUNT problem_walk_points=%d", len(all))
	for _, p := range chosen {
		synctest.Test(t, func(t *testing.T) { p.strike(t, before[p.scene].cloneFor(t)) })
	}
	t.Logf("COUNT problem_walk_struck=%d", len(chosen))
}

func (p refusalAt) strike(t *testing.T, w *world) {
	t.Helper()
	s := scenes()[p.scene]
	where := fmt.Sprintf("%d %s at call %d of %q, lasting %v", p.status, p.code, p.call, s.name, p.lasting)
	s.set(w)
	w.terra.ResetLog()
	armed := terratest.Fault{Kind: terratest.Problem, Status: p.status, Code: p.code, Nth: p.call, Times: 1}
	if p.lasting {
		armed.Times = terratest.Always
	}
	if p.code == "not_found" { // which call is the nth differs: reads leave side by side
		armed.Match = func(c terratest.Call) bool { return c.Operation != "getSourceDomain" }
	}
	w.terra.Fault(armed)
	r := w.apply()
	checkReported(t, w, s, r, where)
	w.terra.ClearFaults()
	for range 3 {
		if w.apply(); w.dryRun().ExitCode == report.ExitDone {
			break
		}
	}
	if again := w.dryRun(); again.ExitCode != report.ExitDone || !s.done(w) {
		t.Fatalf("%s: does not converge\nfirst %s\nthen %s", where, w.show(r), w.show(again))
	}
	checkOnce(t, w, where)
	checkOwned(t, w, where)
}
