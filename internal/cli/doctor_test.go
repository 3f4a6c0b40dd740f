package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// unfolded is a text without any white space: one longer than a line is folded anywhere.
func unfolded(text string) string { return strings.Join(strings.Fields(text), "") }

// holds fails unless the output has the text, however it is folded.
func holds(t *testing.T, out, want string) {
	t.Helper()
	if !strings.Contains(unfolded(out), unfolded(want)) {
		t.Errorf("output lacks %q:\n%s", want, out)
	}
}

// daemonFile writes a daemon.yaml for the example's repository.
func (e *example) daemonFile(more string) string {
	e.t.Helper()
	file := filepath.Join(e.dir, "daemon.yaml")
	text := fmt.Sprintf("repo: {url: %s}\naccounts: {default: {token_env: TERRA_ADMIN_TOKEN, base_url: %q, dev_ids: [%s, %s]}}\napply: true\n%s",
		e.repository(), e.vars["TERRA_BASE_URL"], exampleProduction, exampleStaging, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return file
}

// serveStatus answers on a daemon's socket.
func serveStatus(t *testing.T, dir string, answer *daemon.Status) {
	t.Helper()
	socket := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(answer)
	}))
	err := socket.Listener.Close()
	if err == nil {
		socket.Listener, err = new(net.ListenConfig).Listen(t.Context(), "unix", daemon.SocketPath(dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	socket.Start()
	t.Cleanup(socket.Close)
}

// TestDoctorAsksTheDaemon takes the place of a daemon that holds the state.
func TestDoctorAsksTheDaemon(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	dir := e.vars["RECONCILE_STATE_DIR"]
	health := http.StatusOK
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/healthz" {
			t.Errorf("asked %s", q.URL.Path)
		}
		http.Error(w, "stuck: production", health)
	}))
	defer page.Close()
	address := strings.TrimPrefix(page.URL, "http://")
	file := e.daemonFile("listen: " + address + "\n")
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, e.run(0, "doctor", "--config", file), "warn daemon: none answers at "+daemon.SocketPath(dir)+", though one does on "+address)
	holds(t, e.run(0, "doctor", "--repo", e.repository()), "warn state: another reconcile has "+dir+"/state.db open -> wait until it ends")

	answer := daemon.Status{Version: "1.2.3", Mode: report.Apply, StartedAt: e.now}
	serveStatus(t, dir, &answer)
	out := e.run(0, "doctor", "--config", file)
	holds(t, out, "ok daemon: version 1.2.3 runs since")
	holds(t, out, "and applies what is ready")
	holds(t, out, "ok health: it makes progress, as it says on "+address)
	holds(t, out, "ok state: "+dir+" is held by the daemon")

	health = http.StatusServiceUnavailable
	answer.Mode = report.DryRun
	answer.Paused = []daemon.Pause{{Target: "production", Reason: "vendor outage", Until: e.now}}
	answer.Environments = []daemon.EnvironmentStatus{{Name: "staging", BehindReason: "its files are wrong", LastRun: &daemon.LastRun{Error: "no answer"}}}
	answer.RefusedEnvironments = []daemon.RefusedEnvironment{{Name: "qa", Reason: "it belongs to the repository payments already"}}
	out = e.run(1, "doctor", "--config", file)
	holds(t, out, "warn daemon qa: it is not used: it belongs to the repository payments already")
	holds(t, out, "and is observe-only (apply: false)")
	holds(t, out, "fail health: it answers on "+address+" with 503: stuck: production -> look into its log")
	holds(t, out, "warn pause production: no changes until")
	holds(t, out, "vendor outage -> lift it: reconcile resume --config "+file+" production")
	holds(t, out, "warn daemon staging: it stays on an older commit: its files are wrong")
	holds(t, out, "warn daemon staging: the last run failed: no answer")
	secure := filepath.Join(filepath.Dir(file), "secure.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secure, append(text, "tls: {cert_file: cert, key_file: key}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	health = http.StatusOK
	holds(t, e.run(1, "doctor", "--config", secure), "warn health: a daemon answers on "+address+" by http, without the tls of "+secure)
	health = http.StatusServiceUnavailable
	answer.Stuck = []string{"production"}
	holds(t, e.run(1, "doctor", "--config", file), "fail daemon: it makes no progress: production should have ended -> look into its log, and start it again")
	e.run(1, "status")
	holds(t, e.run(1, "status", "-o", "json"), `"stuck": [`)
	answer.Stuck = nil
	e.run(0, "status")
	answer.Poll.Error = "connection refused"
	page.Close()
	out = e.run(1, "doctor", "--config", file)
	holds(t, out, "fail daemon: it could not read the repository: connection refused")
	holds(t, out, "warn health: nothing answers on "+address)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	delete(e.vars, "RECONCILE_STATE_DIR")
	out = e.run(0, "doctor", "--repo", e.repository())
	holds(t, out, "skip daemon: not asked: no state folder is known")
	holds(t, out, "warn state: no folder is known for it, so nothing can be applied -> set RECONCILE_STATE_DIR or --state")
}

func TestDoctorComparesClocks(t *testing.T) {
	t.Parallel()
	for off, want := range map[time.Duration]string{
		0:                "ok clock: this machine's is ",
		3 * time.Minute:  "warn clock: this machine's is ",
		30 * time.Minute: "fail clock: this machine's is ",
	} {
		e := newExample(t, time.Now())
		e.terra = terratest.New(terratest.Config{Clock: func() time.Time { return e.now.Add(-off) }})
		e.terra.AddEnvironment(exampleProduction, terratest.EnvironmentOptions{})
		e.terra.AddEnvironment(exampleStaging, terratest.EnvironmentOptions{})
		e.vars["TERRA_BASE_URL"] = e.terra.Start(t)
		e.vars["TERRA_ADMIN_TOKEN"] = e.terra.AddToken(terratest.Token{}).Bearer
		code := exitOK
		if strings.HasPrefix(want, "fail") {
			code = exitFailed
		}
		holds(t, e.run(code, "doctor", "--repo", e.repository()), want)
	}
}

// TestDoctorLooksIntoSecrets seals what `secret encrypt` would refuse, and asks
// about a key before its day.
func TestDoctorLooksIntoSecrets(t *testing.T) {
	t.Parallel()
	const mistake = "Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0"
	e := newExample(t, time.Now())
	asked := 0
	strava := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked++
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"errors":[{"resource":"Application","field":"","code":"invalid"}]}`))
	}))
	defer strava.Close()
	e.now = time.Date(2026, 8, 5, 0, 0, 0, 0, time.UTC) // key 2 of production is due on the 8th
	out := e.run(1, "doctor", "--config", e.daemonFile("probes: {strava: \""+strava.URL+"\"}\n"), "--probe")
	holds(t, out, "fail probe production/strava (key 1 of 2): bad: Strava does not accept this client secret")
	holds(t, out, "warn probe production/strava (key 2 of 2, due 2026-08-08): bad: Strava does not accept this client secret -> seal the right one before it is due")
	if asked != 3 { // two keys of production, one of staging
		t.Errorf("asked %d times, want 3", asked)
	}
	e.now = time.Now()
	out = e.run(1, "doctor", "--config", e.daemonFile("probes: {strava: \""+strava.URL+"\"}\n"), "--probe")
	holds(t, out, "warn probe production/strava (key 1 of 2): bad: Strava does not accept this client secret; where it is live, syncing stops")
	if asked != 6 { // the one that is due, the one before it since that is refused, and staging's
		t.Errorf("asked %d times, want 6", asked)
	}

	recipients, err := secrets.ParseRecipients([]string{"age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := secrets.Seal(secrets.NewValue([]byte(mistake)),
		secrets.Binding{Account: secrets.DefaultAccount, DevID: exampleStaging, Provider: "strava", Field: "client_secret"}, recipients)
	if err != nil {
		t.Fatal(err)
	}
	text := "provider: strava\ncredentials:\n  client_id: \"1\"\n  client_secret: !age |\n    " +
		strings.ReplaceAll(strings.TrimSpace(sealed.Armor()), "\n", "\n    ") + "\n"
	if err := os.WriteFile(filepath.Join(e.repository(), "staging/strava.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out = e.run(1, "doctor", "--repo", e.repository())
	holds(t, out, "fail secret staging/strava client_secret: staging/strava.yaml:4:18: Strava client_secret is an Authorization header with an access token, not a client secret -> copy the client secret")
	s := &scene{work: t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.work, "outputs"), e.outputs.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s.planted = []string{mistake}
	s.searchLeaks(t)
}

// TestDoctorAsksNobodyWhereAFileSaysSo: rotation.probe off counts for doctor too, and
// it does not offer to ask then.
func TestDoctorAsksNobodyWhereAFileSaysSo(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	strava := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody was asked") }))
	defer strava.Close()
	for _, name := range []string{"production", "staging"} {
		path := filepath.Join(e.repository(), name, "strava.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, "rotation: {probe: off}\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.commit("Ask nobody")
	file := e.daemonFile("probes: {strava: \"" + strava.URL + "\"}\n")
	holds(t, e.run(0, "doctor", "--config", file, "--probe"), "skip probe production/strava (key 2 of 2): rotation.probe of production/strava is off (production/strava.yaml:")
	out := e.run(0, "doctor", "--config", file)
	if holds(t, out, "skip probe: no provider is asked about a pair, with --probe neither: "); strings.Contains(out, "add --probe") {
		t.Errorf("it offers to ask:\n%s", out)
	}
}

// TestDoctorLiftsARejection: a key that runs have rejected, and of which doctor hears that
// its provider accepts it, is set by the next run, long before that would ask by itself.
func TestDoctorLiftsARejection(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Date(2026, 8, 5, 9, 0, 0, 0, time.UTC)) // key 2 of production is due on the 8th
	known := map[string]bool{}
	learns := true
	strava := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		secret := q.FormValue("client_secret")
		if learns {
			known[secret] = true
		}
		w.WriteHeader(http.StatusBadRequest)
		if known[secret] {
			_, _ = w.Write([]byte(`{"errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`))
			return
		}
		_, _ = w.Write([]byte(`{"errors":[{"resource":"Application","field":"","code":"invalid"}]}`))
	}))
	defer strava.Close()
	file := e.daemonFile("probes: {strava: \"" + strava.URL + "\"}\n")
	e.run(0, "--config", file, "--yes")
	first := e.terra.Live(exampleProduction).Sources["strava"].Credential.Secret
	learns = false
	e.now = time.Date(2026, 8, 8, 9, 0, 0, 0, time.UTC)
	for _, code := range []int{0, 0, 3} {
		e.run(code, "--config", file, "--yes")
		e.now = e.now.Add(5 * time.Minute)
	}
	learns = true
	holds(t, e.run(0, "doctor", "--config", file, "--probe"), "1 key that was rejected is accepted, and may be live again")
	e.run(0, "--config", file, "--yes")
	if live := e.terra.Live(exampleProduction).Sources["strava"].Credential.Secret; live == first {
		t.Error("it is not live")
	}
}
