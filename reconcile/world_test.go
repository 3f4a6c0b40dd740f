package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const devID = "prod-app-x81LmQ"

// here is whose memory a world's runs read.
func here() state.Environment {
	return state.Environment{API: terratest.BaseURL, Customer: "customer-emulator", DevID: devID}
}

// world is a repository, a runner and an emulated Terra, without sockets.
type world struct {
	t          *testing.T
	terra      *terratest.Server
	config     terratest.Config // of terra, but for its clock
	files      fstest.MapFS
	stateDir   string
	identities *secrets.Identities
	recipients secrets.Recipients
	token      string
	now        time.Time
	began      time.Time     // of the program
	waited     *atomic.Int64 // nanoseconds that runs have waited since
	flows      bool          // the clock is time itself, in a bubble
	skew       time.Duration // how far the runner's clock is ahead of Terra's
	options    terra.Options
	prober     Prober
	hosts      []string // that the runner lists
	approvers  Approvers
	ctx        context.Context                           // of the runs; nil is the test's own
	wrap       func(http.RoundTripper) http.RoundTripper // around Terra; nil is none
	progress   func(Progress)                            // of the runs; nil is none
	assigns    string                                    // the account to which the runner says that the dev_id belongs
	elsewhere  map[string]*terra.Client                  // by account that is not at this Terra
	planted    []string                                  // every plaintext secret of this world
}

func newWorld(t *testing.T) *world { t.Helper(); return newWorldOf(t, terratest.Config{}) }

// newWorldOf is a world whose Terra is as a Config says.
func newWorldOf(t *testing.T, config terratest.Config) *world {
	t.Helper()
	w := &world{t: t, config: config, waited: &atomic.Int64{}, files: fstest.MapFS{}, hosts: []string{"*.acme.example"}, stateDir: t.TempDir(), now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	w.newTerra()
	w.token = w.terra.AddToken(terratest.Token{}).Bearer
	w.terra.AddEnvironment(devID, terratest.EnvironmentOptions{})
	w.newIdentity()
	w.environment("")
	return w
}

// newTerra gives the world an empty account.
func (w *world) newTerra() {
	w.t.Helper()
	w.config.Clock = w.clock
	w.terra = terratest.New(w.config)
	w.terra.Watch(w.t)
}

// newIdentity gives the runner an identity, and forgets the one it had.
func (w *world) newIdentity() {
	w.t.Helper()
	private, public, err := secrets.GenerateIdentity(false)
	if err != nil {
		w.t.Fatal(err)
	}
	w.identities, err = secrets.LoadIdentities(secrets.Source{Inline: private.Reveal()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.recipients, err = secrets.ParseRecipients([]string{public}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("terra.yaml", "version: 1\nrecipients: [{paths: [\"**\"], age: ["+public+"]}]\nsecrets: {binding: require}\n")
}

// clock is the time of Terra and of the runner. Waiting moves it on.
func (w *world) clock() time.Time {
	if w.flows {
		return time.Now()
	}
	return w.now.Add(time.Duration(w.waited.Load()))
}

func (w *world) wait(ctx context.Context, d time.Duration) error {
	if w.flows {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	w.waited.Add(int64(d))
	return ctx.Err()
}

func (w *world) write(name, text string) { w.files[name] = &fstest.MapFile{Data: []byte(text)} }

// environment writes environment.yaml with more lines behind the required ones.
func (w *world) environment(more string) {
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: never\n"+more)
}

// seal gives a `!age |` scalar for a place, indented under its field.
func (w *world) seal(provider, field, text, indent string) string {
	w.t.Helper()
	w.planted = append(w.planted, text)
	s, err := secrets.Seal(secrets.NewValue([]byte(text)), secrets.Binding{Account: secrets.DefaultAccount, DevID: devID, Provider: provider, Field: field}, w.recipients)
	if err != nil {
		w.t.Fatal(err)
	}
	return "!age |\n" + indent + strings.ReplaceAll(strings.TrimSpace(s.Armor()), "\n", "\n"+indent) + "\n"
}

// own writes a connection with an app of its own.
func (w *world) own(provider, id, secret, more string) {
	w.write("production/"+provider+".yaml", "provider: "+provider+"\ncredentials:\n  client_id: \""+id+"\"\n  client_secret: "+
		w.seal(provider, "client_secret", secret, "    ")+more)
}

// strava writes a connection with a client id and one secret.
func (w *world) strava(secret, more string) {
	w.write("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"123456\"\n  client_secret: "+
		w.seal("strava", "client_secret", secret, "    ")+more)
}

func (w *world) load() (spec.Set, []spec.Problem) {
	return spec.Load(fs.FS(w.files), providers.Vocabulary())
}

func (w *world) engine(mode report.Mode) (*Engine, *state.Store) {
	w.t.Helper()
	open := func() (*state.Store, error) { return state.Open(w.stateDir, state.Options{}) }
	if mode == report.DryRun {
		open = func() (*state.Store, error) { return state.OpenReadOnly(w.stateDir) }
	}
	store, err := open()
	if err != nil {
		w.t.Fatal(err)
	}
	o := w.options
	o.BaseURL, o.Transport, o.Version, o.ReadOnly = cmp.Or(o.BaseURL, terratest.BaseURL), w.terra.RoundTripper(), "test", mode == report.DryRun
	if w.wrap != nil {
		o.Transport = w.wrap(o.Transport)
	}
	o.Token = func() (string, error) { return w.token, nil }
	client, err := terra.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return New(Options{
		Client: func(account, _ string) (*terra.Client, error) { return cmp.Or(w.elsewhere[account], client), nil }, Store: store, Prober: w.prober,
		Identities: func() (*secrets.Identities, error) { return w.identities, nil }, Now: func() time.Time { return w.clock().Add(w.skew) }, Began: w.began, Wait: w.wait,
		Skew:          func() (time.Duration, bool) { return w.skew, w.skew != 0 },
		Assigns:       func(account, _ string) bool { return account == w.assigns },
		RedirectHosts: func(string) []string { return w.hosts }, Approvers: w.approvers, Progress: w.progress,
	}), store
}

// run plans or applies, scans what came out for planted secrets, and closes the store.
func (w *world) run(r Run) report.Report {
	w.t.Helper()
	engine, store := w.engine(r.Mode)
	defer func() {
		if err := store.Close(); err != nil {
			w.t.Error(err)
		}
	}()
	r.Set, r.Problems = w.load()
	r.Commit = cmp.Or(r.Commit, "c0ffee")
	ctx := w.ctx
	if ctx == nil {
		ctx = w.t.Context()
	}
	out := engine.Run(ctx, r)
	w.scan(out)
	return out
}

func (w *world) scan(r report.Report) {
	w.t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, secret := range w.planted {
		if bytes.Contains(b, []byte(secret)) {
			w.t.Fatalf("the report shows a secret")
		}
	}
}

func (w *world) dryRun() report.Report { w.t.Helper(); return w.run(Run{Mode: report.DryRun}) }
func (w *world) apply() report.Report  { w.t.Helper(); return w.run(Run{Mode: report.Apply}) }

// applied applies and demands that the next plan is empty.
func (w *world) applied() report.Report {
	w.t.Helper()
	r := w.apply()
	if r.ExitCode != report.ExitDone {
		w.t.Fatalf("apply: exit %d\n%s", r.ExitCode, w.show(r))
	}
	w.inSync()
	return r
}

func (w *world) inSync() {
	w.t.Helper()
	if again := w.dryRun(); again.ExitCode != report.ExitDone {
		w.t.Fatalf("second plan is not empty: exit %d\n%s", again.ExitCode, w.show(again))
	}
}

func (w *world) show(r report.Report) string {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// change gives the only change with an ID ending, or fails.
func (w *world) change(r report.Report, id string) report.Change {
	w.t.Helper()
	for _, env := range r.Environments {
		for _, c := range env.Changes {
			if c.ID == "production/"+id {
				return c
			}
		}
	}
	w.t.Fatalf("no change %s in\n%s", id, w.show(r))
	return report.Change{}
}

func expectGate(t *testing.T, c report.Change, gate plan.Gate, guard string) {
	t.Helper()
	if c.Gate != gate || c.Guard != guard {
		t.Errorf("%s: gate %q guard %q (%s), want %q %q", c.ID, c.Gate, c.Guard, c.GateReason, gate, guard)
	}
}
