package reconcile

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// rehearsal is a world of the same repository and state folder, at an emulator on this
// machine that has the dev_id as well.
func (w *world) rehearsal() *world {
	r := *w
	r.terra = terratest.New(terratest.Config{Clock: func() time.Time { return w.now }})
	r.token = r.terra.AddToken(terratest.Token{Owner: "rehearsal"}).Bearer
	r.terra.AddEnvironment(devID, terratest.EnvironmentOptions{})
	r.options.BaseURL = "http://127.0.0.1:8080/api/v3/admin"
	return &r
}

// accounts gives those of which the state remembers anything.
func (w *world) accounts() (all []state.Environment) {
	w.inState(func(s *state.Store) (err error) { all, err = s.EnvironmentsOf(devID); return err })
	return all
}

const notUsed = "nothing is remembered of " + devID

// TestRehearsalVouchesForNothing rehearses the very files of production against an
// emulator, with the state folder of production. Meanwhile an on-call paused Strava by
// hand, and somebody else made Polar. Nothing of what the rehearsal left says that the
// one is drift to take back or that the other is ours to prune.
func TestRehearsalVouchesForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.write("production/polar.yaml", "provider: polar\n")
	w.rehearsal().applied()

	w.terra.Enable(devID, "strava")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
	w.terra.Pause(devID, "strava")
	w.terra.Enable(devID, "polar")
	w.terra.SetUsers(devID, "strava", 210, 0)
	w.terra.SetUsers(devID, "polar", 40, 0)
	delete(w.files, "production/polar.yaml")
	w.environment("policy: {max_changes: {count: 9, percent: 100}}\n")
	w.write("production/environment.yaml", strings.Replace(string(w.files["production/environment.yaml"].Data), "prune: never", "prune: disable", 1))
	for _, mode := range []report.Mode{report.DryRun, report.Apply, report.Apply} {
		r := w.run(Run{Mode: mode})
		c := w.change(r, "strava:resume")
		if c.Cause != plan.Adopt || c.Gate != plan.Approval {
			t.Errorf("%s: resume has cause %s and gate %s, want adopt and approval", mode, c.Cause, c.Gate)
		}
		if strings.Contains(w.show(r), "polar:disable") {
			t.Errorf("%s: what the rehearsal enabled is pruned", mode)
		}
		if n := len(w.terra.Writes()); n != 0 {
			t.Fatalf("%s: %d writes", mode, n)
		}
	}
	said := warned(w.rehearsal().dryRun().Environments[0].Warnings)
	if strings.Contains(said, notUsed) {
		t.Errorf("the rehearsal has a memory, and says %q", said)
	}
	if got := w.accounts(); len(got) != 2 || got[0] != here() || got[1].API != "loopback/api/v3/admin" || got[1].Customer != "rehearsal" {
		t.Errorf("accounts: got %v", got)
	}
}

// TestAnotherAccountIsAdoptedAgain: a customer's memory is not another one's at the same
// address either. The report says once that nothing of it is used.
func TestAnotherAccountIsAdoptedAgain(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*world){
		"another address":  func(w *world) { w.options.BaseURL = "https://staging.terra.invalid/api/v3/admin" },
		"another customer": func(w *world) { w.token = w.terra.AddToken(terratest.Token{Owner: "another"}).Bearer },
	} {
		w := newWorld(t)
		w.strava(secretA, "")
		w.applied()
		w.terra.Pause(devID, "strava")
		w.terra.SetUsers(devID, "strava", 5, 0)
		before := len(w.terra.Writes())
		move(w)
		for _, run := range []func() report.Report{w.dryRun, w.apply} {
			r := run()
			if c := w.change(r, "strava:resume"); c.Cause != plan.Adopt || c.Gate != plan.Approval {
				t.Errorf("%s: cause %s, gate %s", name, c.Cause, c.Gate)
			}
			expectText(t, warned(r.Environments[0].Warnings), notUsed)
		}
		if n := len(w.terra.Writes()) - before; n != 0 {
			t.Errorf("%s: %d writes", name, n)
		}
		if said := warned(w.apply().Environments[0].Warnings); strings.Contains(said, notUsed) {
			t.Errorf("%s: said again once it has a memory: %q", name, said)
		}
		if n := len(w.accounts()); n != 2 {
			t.Errorf("%s: %d accounts", name, n)
		}
	}
}

// TestNewTokenOfTheSameCustomerKeepsTheMemory: rotating the admin token changes nothing,
// and costs one question.
func TestNewTokenOfTheSameCustomerKeepsTheMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.token = w.terra.AddToken(terratest.Token{}).Bearer
	w.asked()
	r := w.applied()
	if said, n := warned(r.Environments[0].Warnings), w.asked(); strings.Contains(said, notUsed) || len(r.Environments[0].Changes) > 0 || n != 1 {
		t.Errorf("asked %d times; %s", n, w.show(r))
	}
	if got := w.accounts(); len(got) != 1 || got[0] != here() {
		t.Errorf("accounts: got %v", got)
	}
}

// TestCustomerThatIsNamedLater: while Terra does not say whose the token is, memory is
// kept for the token, and goes to the customer once Terra says.
func TestCustomerThatIsNamedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MaxAttempts = 1
	w.strava(secretA, "")
	w.terra.Fault(terratest.Fault{Kind: terratest.Status500, Operation: "getMe", Times: terratest.Always})
	w.applied()
	if got := w.accounts(); len(got) != 1 || !strings.HasPrefix(got[0].Customer, unnamed) {
		t.Fatalf("while nobody says: accounts %v", got)
	}
	w.terra.ClearFaults()
	for _, run := range []func() report.Report{w.dryRun, w.apply, w.dryRun} {
		if r := run(); len(r.Environments[0].Changes) > 0 || strings.Contains(warned(r.Environments[0].Warnings), notUsed) {
			t.Errorf("once it is said: %s", w.show(r))
		}
	}
	if got := w.accounts(); len(got) != 1 || got[0] != here() {
		t.Errorf("once it is said: accounts %v", got)
	}
	w.inState(func(s *state.Store) error {
		m, err := s.Memory(here())
		if !m.Connections["strava"].Enabled {
			t.Error("that we enabled it is forgotten")
		}
		return err
	})
}

// TestTokenThatDoesNotSayWhoseItIs: one that may not ask, and one of which Terra names
// no customer, has the one account that is known there. Where there is no answer no
// memory is chosen, and nothing written.
func TestTokenThatDoesNotSayWhoseItIs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		owner string
		fault terratest.Fault
		fails bool
	}{
		"no customer": {"-", terratest.Fault{}, false},
		"not allowed": {"", terratest.Fault{Kind: terratest.Problem, Status: http.StatusForbidden, Code: "access_denied"}, false},
		"no answer":   {"", terratest.Fault{Kind: terratest.Status500}, true},
		"half JSON":   {"", terratest.Fault{Kind: terratest.BrokenJSON}, true},
	} {
		w := newWorld(t)
		w.options.MaxAttempts = 1
		w.strava(secretA, "")
		w.applied()
		w.token = w.terra.AddToken(terratest.Token{Owner: row.owner}).Bearer
		if row.fault.Kind != "" {
			row.fault.Operation, row.fault.Times = "getMe", terratest.Always
			w.terra.Fault(row.fault)
		}
		w.strava(secretA, "state: paused\n")
		before := len(w.terra.Writes())
		r := w.apply()
		if failed := r.Environments[0].Error != ""; failed != row.fails {
			t.Errorf("%s: %s", name, w.show(r))
		}
		if row.fails {
			expectText(t, r.Environments[0].Error, "whose the token of account default is")
		}
		if wrote := len(w.terra.Writes()) > before; wrote == row.fails {
			t.Errorf("%s: wrote %v", name, wrote)
		}
		if got := w.accounts(); len(got) != 1 || got[0] != here() {
			t.Errorf("%s: accounts %v", name, got)
		}
	}
}

// TestLineOfACommitterSendsNothingElsewhere lets a pull request name the account of
// another server, which has the dev_id as well: neither its dry run nor a run that
// applies shows production's secret there, whoever remembers what.
func TestLineOfACommitterSendsNothingElsewhere(t *testing.T) {
	t.Parallel()
	for name, remembers := range map[string]bool{"with the state of production": true, "without any state": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.strava(secretA, "")
			w.applied()
			hostile := terratest.New(terratest.Config{Clock: w.clock})
			hostile.AddEnvironment(devID, terratest.EnvironmentOptions{})
			hostile.Enable(devID, "strava")
			hostile.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: "another" + secretA[7:]})
			var mu sync.Mutex
			var heard strings.Builder
			listen := tripper(func(r *http.Request) (*http.Response, error) {
				if r.Body != nil {
					body, _ := io.ReadAll(r.Body)
					mu.Lock()
					heard.Write(body)
					mu.Unlock()
					r.Body = io.NopCloser(bytes.NewReader(body))
				}
				return hostile.RoundTripper().RoundTrip(r)
			})
			bearer := hostile.AddToken(terratest.Token{}).Bearer
			client, err := terra.New(terra.Options{BaseURL: "https://sandbox.invalid/api/v3/admin", Transport: listen, Version: "test",
				Token: func() (string, error) { return bearer, nil }})
			if err != nil {
				t.Fatal(err)
			}
			w.elsewhere = map[string]*terra.Client{"sandbox": client}
			w.environment("account: sandbox\n")
			if !remembers {
				w.stateDir = t.TempDir()
			}
			for _, r := range []report.Report{w.dryRun(), w.apply()} {
				if strings.Contains(heard.String(), secretA) {
					t.Fatalf("%s: the other server has heard the secret of production", r.Mode)
				}
				if r.ExitCode == report.ExitDone {
					t.Errorf("%s: %s", r.Mode, w.show(r))
				}
			}
		})
	}
}

// TestAccountOfADevIDIsTheRunners: what was reached by one account is reached by another
// only once the runner's configuration says so; then secrets have to be bound to it.
func TestAccountOfADevIDIsTheRunners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	w.applied()
	before := len(w.terra.Log())
	w.environment("account: other\n")
	for _, r := range []report.Report{w.dryRun(), w.apply()} {
		e := r.Environments[0]
		if r.ExitCode != report.ExitError || e.Error != "use account other for "+devID+": it was account default until now, and a commit does not change that" {
			t.Errorf("%s: %s", r.Mode, w.show(r))
		}
		expectText(t, report.Words(e.Remediations), "where it belongs to other now, list it in daemon.yaml under dev_ids of that account alone; else name default")
	}
	if n := len(w.terra.Log()); n != before {
		t.Errorf("%d calls", n-before)
	}
	w.assigns = "other"
	w.applied()
	w.assigns = ""
	w.applied() // it is remembered now
	w.environment("")
	w.expectExit(w.apply(), report.ExitError)
}

// TestTokenThatCannotBeReadIsSaidOnce: what follows from it is no warning beside the error.
func TestTokenThatCannotBeReadIsSaidOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	w.applied()
	w.token = ""
	w.options.BaseURL = "https://other.example/api/v3/admin"
	r := w.dryRun()
	if e := r.Environments[0]; !strings.Contains(e.Error, "token") || len(e.Warnings) > 0 {
		t.Errorf("error %q, warnings: %s", e.Error, told(r))
	}
}
