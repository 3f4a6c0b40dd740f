//go:build linux

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const walkDevID = "prod-x81LmQ"

// walkWorld is what the real binary works on in a walk: a repository, a state
// folder, a Terra account with the providers behind it, and a time that only the
// walk moves.
type walkWorld struct {
	program    string // built with the tag testclock
	identity   string
	recipient  string
	recipients secrets.Recipients

	folder string // of everything below
	files  map[string]string
	terra  *terratest.Server
	token  string
	now    time.Time
	fell   bool // a key is to be marked because its end users fell away
}

func newWalkWorld(t *testing.T, program, folder string) *walkWorld {
	t.Helper()
	private, public, err := secrets.GenerateIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	w := &walkWorld{
		program: program, identity: private.Reveal(), recipient: public, folder: folder,
		files: map[string]string{}, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
	}
	if w.recipients, err = secrets.ParseRecipients([]string{public}, nil); err != nil {
		t.Fatal(err)
	}
	w.terra = w.newTerra()
	w.token = w.terra.AddToken(terratest.Token{}).Bearer
	w.terra.AddEnvironment(walkDevID, terratest.EnvironmentOptions{})
	w.files["terra.yaml"] = "version: 1\nrecipients: [{paths: [\"**\"], age: [" + public + "]}]\nsecrets: {binding: require}\n"
	w.environment("prune: never\n")
	return w
}

// at moves the time.
func (w *walkWorld) at(text string) {
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	w.now = moment
}

func (w *walkWorld) newTerra() *terratest.Server {
	return terratest.New(terratest.Config{Clock: func() time.Time { return w.now }})
}

// clone copies a world into another folder: what is killed there is not killed
// here. The repository is not copied; commit makes it.
func (w *walkWorld) clone(folder string) (*walkWorld, error) {
	c := *w
	c.folder, c.files = folder, maps.Clone(w.files)
	c.terra = c.newTerra()
	var account bytes.Buffer
	err := errors.Join(w.terra.Save(&account), c.terra.Load(&account))
	if _, there := os.Stat(w.stateDir()); err == nil && there == nil {
		err = os.CopyFS(c.stateDir(), os.DirFS(w.stateDir()))
	}
	return &c, err
}

func (w *walkWorld) stateDir() string { return filepath.Join(w.folder, "state") }
func (w *walkWorld) repo() string     { return filepath.Join(w.folder, "repo") }

// commit makes the repository hold the files of this world.
func (w *walkWorld) commit() error {
	if err := os.RemoveAll(w.repo()); err != nil {
		return err
	}
	for name, text := range w.files {
		path := filepath.Join(w.repo(), name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
		if err != nil {
			return err
		}
	}
	_, err := commitAll(w.repo(), "Walk on", w.now)
	return err
}

// environment writes environment.yaml.
func (w *walkWorld) environment(more string) {
	w.files["production/environment.yaml"] = "dev_id: " + walkDevID + "\n" + more
}

// connection writes the file of a connection.
func (w *walkWorld) connection(provider, more string) {
	w.files["production/"+provider+".yaml"] = "provider: " + provider + "\n" + more
}

// own writes a connection with an app of its own.
func (w *walkWorld) own(t testing.TB, provider, id, secret, more string) {
	w.connection(provider, "credentials:\n  client_id: \""+id+"\"\n  client_secret: "+w.seal(t, provider, secret, "    ")+more)
}

// keys writes Strava with keys, the oldest first, as pairs of a secret and a time.
func (w *walkWorld) keys(t testing.TB, id string, keys ...[2]string) {
	var b strings.Builder
	b.WriteString("credentials:\n  client_id: \"" + id + "\"\n  keys:\n")
	for _, k := range keys {
		b.WriteString("    - not_before: " + k[1] + "\n      client_secret: " + w.seal(t, "strava", k[0], "        "))
	}
	w.connection("strava", b.String())
}

func (w *walkWorld) seal(t testing.TB, provider, text, indent string) string {
	t.Helper()
	at := secrets.Binding{Account: secrets.DefaultAccount, DevID: walkDevID, Provider: provider, Field: "client_secret"}
	s, err := secrets.Seal(secrets.NewValue([]byte(text)), at, w.recipients)
	if err != nil {
		t.Fatal(err)
	}
	return "!age |\n" + indent + strings.ReplaceAll(strings.TrimSpace(s.Armor()), "\n", "\n"+indent) + "\n"
}

func (w *walkWorld) live() terratest.Snapshot { return w.terra.Live(walkDevID) }

// remembered is what the state holds that decides what is done next.
type remembered struct {
	Memory       plan.Memory
	KeyHistories map[string]keys.History
	Pending      []state.Intent
	Commits      state.Commits
	Files        []string       // in the state folder
	Told         map[string]int // lines of the history that say that it is in effect, by change
}

func (w *walkWorld) remembered() (r remembered, err error) {
	store, err := state.OpenReadOnly(w.stateDir())
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	entries, err := os.ReadDir(w.stateDir())
	if err != nil {
		return r, err
	}
	for _, e := range entries {
		r.Files = append(r.Files, e.Name())
	}
	var errs [4]error
	r.Memory, errs[0] = store.Memory(emulated(walkDevID))
	r.KeyHistories, errs[1] = store.KeyHistory(emulated(walkDevID))
	r.Pending, errs[2] = store.Pending(emulated(walkDevID))
	r.Commits, errs[3] = store.Commits(emulated(walkDevID))
	lines, _, err := state.History(w.stateDir(), state.HistoryFilter{})
	if err != nil {
		return r, err
	}
	r.Told = map[string]int{}
	for _, e := range lines {
		if e.Event == state.EventWrite && (e.Outcome == string(report.Applied) || e.Outcome == "settled") {
			r.Told[e.Change]++
		}
	}
	return r, errors.Join(errs[:]...)
}

// effects counts what changed Terra. One call that enables several counts as one
// for each, so that it compares with calls for each.
func effects(calls []terratest.Call) map[string]int {
	counted := map[string]int{}
	for _, c := range calls {
		if len(c.Providers) == 0 {
			counted[c.Operation+" "+c.Provider+" "+strings.Join(c.Fields, ",")]++
		}
		for _, provider := range c.Providers {
			counted[fmt.Sprintf("enableSource %s ", provider)]++
		}
	}
	return counted
}
