package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

func newDemoCommand(proc *Process) *cobra.Command {
	keep := false
	cmd := &cobra.Command{
		Use:   "demo [rotation]",
		Short: "Show it on a throw-away repository and an emulated Terra",
		Long: `Show it on a throw-away repository and an emulated Terra: a first apply, and
what somebody clicked in the dashboard. With rotation, the life of a key: a
secret is added, sealed, used at its time and watched, and one that its provider
refuses never replaces the key that works.

It makes a git repository with sealed secrets in a temporary folder, starts an
emulator of Terra's Admin API and of the data providers behind it on this
machine, and runs the commands you would run, months of them in seconds. It
needs no account and no network, and removes what it made.`,
		Example: `  reconcile demo
  reconcile demo rotation`,
		Args:      takes(0, 1),
		ValidArgs: []string{"rotation"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] != "rotation" {
				return misused(cmd, "the one word it takes is rotation")
			}
			return demo(cmd.Context(), proc, len(args) > 0, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the repository, the identity and the state behind")
	return cmd
}

// stage is where the demo plays.
type stage struct {
	proc   *Process // of the commands it runs
	out    io.Writer
	dir    string
	terra  *emulator.Server
	passed time.Duration // how far its clock is ahead
	played int           // acts so far
}

func demo(ctx context.Context, proc *Process, rotation, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "reconcile-demo-")
	if err != nil {
		return fmt.Errorf("make demo folder: %w", err)
	}
	if !keep {
		defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	}
	s := &stage{out: proc.Stdout, dir: dir}
	s.terra = emulator.New(emulator.Config{Clock: func() time.Time { return proc.Now().Add(s.passed) }})
	mux := http.NewServeMux()
	mux.Handle("/", s.terra)
	mux.Handle(demoGit+"/", serveDemoGit(filepath.Join(dir, "config")))
	address, stop, err := serve(ctx, mux)
	if err != nil {
		return err
	}
	defer stop()
	if err := s.prepare(proc, address); err != nil {
		return err
	}
	play := s.playFirst
	if rotation {
		play = s.playRotation
	}
	if err := play(ctx); err != nil {
		return err
	}
	if keep {
		_, err = fmt.Fprintf(s.out, "Kept: %s\n", dir)
	}
	return err
}

// serve puts the emulator and the repository on a free port of this machine.
func serve(ctx context.Context, handler http.Handler) (address string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("serve emulator: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String() + emulator.BasePath, func() { _ = server.Close() }, nil
}

func (s *stage) say(text string) error {
	_, err := io.WriteString(s.out, text)
	return err
}

// act is one command of the demo, and how it must end.
type act struct {
	title string   // "" for one that is not shown
	does  func()   // what happens before it, outside of it
	typed string   // on standard input
	args  []string // without repository and configuration
	push  string   // the message of a commit that a person makes of it, and pushes
	exit  int
	holds string // of Strava's secrets in production, the one that must be live then
}

// playFirst shows a first apply and drift.
func (s *stage) playFirst(ctx context.Context) error {
	if err := s.say("A demo: Terra is emulated, nothing leaves this machine. A git repository says\n" +
		"what should be: production/{strava,virtuagym,withings}.yaml, secrets sealed.\n"); err != nil {
		return err
	}
	err := s.perform(ctx, []act{
		{title: "Preview: nothing is written", args: []string{"--dry-run"}, exit: report.ExitChanges},
		{title: "Apply", args: []string{"--yes"}, holds: demoSecret},
		{title: "Somebody pauses Strava in the dashboard: the next run puts it back",
			does: func() { s.terra.Pause(demoProduction(), "strava") }, args: []string{"--yes"}, holds: demoSecret},
		{title: "Nothing is left to do", args: []string{"--dry-run"}, holds: demoSecret},
	})
	if err != nil {
		return err
	}
	return s.say(fmt.Sprintf("\nNext: %s, %s, and examples/ in the source.\n", plan.Command{"demo", "rotation"}, plan.Command{"help"}))
}

// playRotation rotates a key, and then tries to rotate to one that Strava refuses.
func (s *stage) playRotation(ctx context.Context) error {
	if err := s.say("A demo of keys: Terra and Strava are emulated, and their clock jumps. A person\n" +
		"makes a new secret in Strava's portal, where the old one lives on for two weeks.\n"); err != nil {
		return err
	}
	const day = 24 * time.Hour
	due := s.proc.Now().UTC().Truncate(day).Add(7*day + 2*time.Hour)
	err := s.perform(ctx, []act{
		{args: []string{"--yes"}, holds: demoSecret},
		{title: "The new secret is added, sealed, to be used in a night next week",
			does: func() {
				s.terra.SetUsers(demoProduction(), "strava", 214, 6)
				s.terra.ResetSecret("strava", demoClientID, demoNewSecret, 14*day)
			},
			typed: demoNewSecret, holds: demoSecret,
			args: []string{"rotate", "add", "production/strava", "--not-before", due.Format(time.RFC3339)}, push: "Add the new key of Strava"},
		{title: "That night: Strava is asked about the new key, then Terra gets it",
			does: func() { s.passed += due.Sub(s.proc.Now()) + time.Minute },
			args: []string{"--yes"}, holds: demoNewSecret},
		{title: "How do the keys stand? The new one soaks for a day",
			does: func() { s.passed += 10 * time.Hour }, args: []string{"rotate", "status"}, holds: demoNewSecret},
		{title: "A day later the soak ends: Strava still takes the key, nobody fell away",
			does: func() { s.passed += day }, args: []string{"--yes"}, holds: demoNewSecret},
		{title: "Months later somebody adds the secret of another app",
			does: func() { s.passed += 60 * day }, typed: demoWrongSecret, holds: demoNewSecret,
			args: []string{"rotate", "add", "production/strava"}, push: "Add another key of Strava"},
		{title: "Strava refuses it: once is no verdict, so it waits",
			args: []string{"--yes"}, holds: demoNewSecret},
		{does: func() { s.passed += time.Minute }, args: []string{"--yes"}, holds: demoNewSecret},
		{title: "Minutes later, refused again while the live key is accepted: it is rejected",
			does: func() { s.passed += 5 * time.Minute }, args: []string{"--yes"}, exit: report.ExitHeld, holds: demoNewSecret},
	})
	if err != nil {
		return err
	}
	return s.say(fmt.Sprintf("\nThe key that works stayed live throughout. More: %s\n", plan.Command{"help", "rotation"}))
}

// perform runs the commands of the demo and checks that each ends as it should. One
// without a title is not shown.
func (s *stage) perform(ctx context.Context, acts []act) error {
	repo := filepath.Join(s.dir, "config")
	for _, a := range acts {
		if a.does != nil {
			a.does()
		}
		proc := *s.proc
		proc.Stdin = strings.NewReader(a.typed)
		if a.title == "" {
			proc.Stdout, proc.Stderr = io.Discard, io.Discard
		} else {
			s.played++
			if err := s.say(fmt.Sprintf("\n%d. %s\n%s\n", s.played, a.title, a.line())); err != nil {
				return err
			}
		}
		args := append(slices.Clone(a.args), "--config", filepath.Join(s.dir, "daemon.yaml"))
		if a.args[0] == "rotate" {
			args = append(args, "--repo", repo)
		}
		if code := Run(ctx, args, &proc); code != a.exit {
			return fmt.Errorf("demo step %d ended with exit code %d, expected %d", s.played, code, a.exit)
		}
		live := s.terra.Live(demoProduction()).Sources["strava"].Credential
		if a.holds != "" && (live == nil || live.Secret != a.holds) {
			return fmt.Errorf("demo step %d: Terra holds another key than expected", s.played)
		}
		if a.push == "" {
			continue
		}
		if err := commitDemo(repo, a.push, s.proc.Now()); err != nil {
			return fmt.Errorf("demo step %d: %w", s.played, err)
		}
		if err := s.say(fmt.Sprintf("\n   $ git commit -am %q && git push\n", a.push)); err != nil {
			return err
		}
	}
	return nil
}

// line is the command as a person would type it inside the repository, where a
// daemon.yaml is known.
func (a act) line() string {
	line, out := "   $ reconcile", ""
	words := a.args
	if a.typed != "" {
		words = append(slices.Clone(words), "< new-secret.txt")
	}
	for _, word := range words {
		if len(line)+len(" "+word+" \\") > 80 {
			out, line = out+line+" \\\n", "      "
		}
		line += " " + word
	}
	if a.exit != 0 {
		line = fmt.Sprintf("%-60s # exit code %d", line, a.exit)
	}
	return out + line + "\n"
}

// One app at the emulated Strava, and the secrets that come later.
const (
	demoClientID    = "123456"
	demoSecret      = "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f001"
	demoNewSecret   = "6e2f4d1c0b9a8f7e6d5c4b3a291817161514f002"
	demoWrongSecret = "7d3e5f2b1c0a9e8f7d6c5b4a392827262524f003"
)

func demoProduction() string { return "demo-prod-x81LmQ" }

// prepare makes the emulated account, the identity and the repository, and the
// environment in which the commands run.
func (s *stage) prepare(proc *Process, address string) error {
	token := s.terra.AddToken(emulator.Token{}).Bearer
	s.terra.AddEnvironment(demoProduction(), emulator.EnvironmentOptions{Name: "production"})
	s.terra.Enable(demoProduction(), "polar")
	s.terra.SetUsers(demoProduction(), "polar", 31, 2)

	private, public, err := secrets.GenerateIdentity(false)
	if err != nil {
		return fmt.Errorf("make demo identity: %w", err)
	}
	key := filepath.Join(s.dir, "identity.txt")
	if err := os.WriteFile(key, []byte(private.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("make demo identity: %w", err)
	}
	if err := s.repository(public, proc.Now()); err != nil {
		return fmt.Errorf("make demo repository: %w", err)
	}
	if err := s.runner(address); err != nil {
		return fmt.Errorf("make demo configuration: %w", err)
	}
	settings := map[string]string{
		"TERRA_ADMIN_TOKEN": token, "TERRA_BASE_URL": address, "RECONCILE_AGE_KEY_FILE": key,
		"RECONCILE_STATE_DIR": filepath.Join(s.dir, "state"),
	}
	inner := *proc
	inner.brief = true
	inner.Now = func() time.Time { return proc.Now().Add(s.passed) }
	inner.Getenv = func(name string) string {
		if v, ok := settings[name]; ok {
			return v
		}
		if slices.Contains([]string{"NO_COLOR", "TERM"}, name) {
			return proc.Getenv(name)
		}
		return ""
	}
	s.proc = &inner
	return nil
}

// runner writes daemon.yaml: where Terra and Strava are, and what Strava knows.
func (s *stage) runner(address string) error {
	origin := strings.TrimSuffix(address, emulator.BasePath)
	strava, _ := providers.Lookup("strava")
	probe, ok := emulator.ProviderAddress(origin, strava.Probe.URL)
	if !ok {
		return fmt.Errorf("nobody answers for %s", strava.Probe.URL)
	}
	s.terra.AcceptPair("strava", demoClientID, demoSecret)
	text := "repo: {url: " + strconv.Quote(origin+demoGit) + "}\n" +
		"accounts:\n  default: {token_env: TERRA_ADMIN_TOKEN, base_url: " + strconv.Quote(address) + ", dev_ids: [\"*\"]}\n" +
		"identities: {files: [./identity.txt]}\nstate_dir: ./state\napply: true\n" +
		"probes: {strava: " + strconv.Quote(probe) + "}\n"
	return os.WriteFile(filepath.Join(s.dir, "daemon.yaml"), []byte(text), 0o600)
}

// repository writes the files and commits them.
func (s *stage) repository(recipient string, now time.Time) error {
	dir := filepath.Join(s.dir, "config")
	files, err := demoFiles(recipient)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	if _, err := git.PlainInit(dir, false); err != nil {
		return err
	}
	return commitDemo(dir, "Connect Strava, Virtuagym and Withings", now)
}

// commitDemo commits everything in the demo's repository, where no git need be on PATH.
func commitDemo(dir, message string, now time.Time) error {
	repo, err := git.PlainOpen(dir)
	if err != nil {
		return err
	}
	tree, err := repo.Worktree()
	if err != nil {
		return err
	}
	if err := tree.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		return err
	}
	who := &object.Signature{Name: "Demo", Email: "demo@example.com", When: now}
	_, err = tree.Commit(message, &git.CommitOptions{Author: who, Committer: who})
	return err
}

// demoGit is where the demo's repository is served.
const demoGit = "/config.git"

// serveDemoGit gives out the repository in dir as a git server does, without git.
func serveDemoGit(dir string) http.Handler {
	const result, listing = "application/x-git-upload-pack-result", "application/x-git-upload-pack-advertisement"
	talk := func(w http.ResponseWriter, r *http.Request) error {
		repo, err := git.PlainOpen(dir)
		if err != nil {
			return err
		}
		endpoint, err := transport.NewEndpoint(demoGit)
		if err != nil {
			return err
		}
		session, err := server.NewServer(server.MapLoader{endpoint.String(): repo.Storer}).NewUploadPackSession(endpoint, nil)
		if err != nil {
			return err
		}
		if r.Method == http.MethodGet {
			refs, err := session.AdvertisedReferencesContext(r.Context())
			if err != nil {
				return err
			}
			refs.Prefix = [][]byte{[]byte("# service=git-upload-pack"), pktline.Flush}
			w.Header().Set("Content-Type", listing)
			return refs.Encode(w)
		}
		ask := packp.NewUploadPackRequest()
		if err := ask.UploadRequest.Decode(r.Body); err != nil {
			return err
		}
		answer, err := session.UploadPack(r.Context(), ask)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", result)
		return answer.Encode(w)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := talk(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

func demoFiles(recipient string) (map[string]string, error) {
	recipients, err := secrets.ParseRecipients([]string{recipient}, nil)
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"terra.yaml": "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: [" + recipient + "]\nsecrets: {binding: require}\n",
		"production/environment.yaml": "dev_id: " + demoProduction() + "\nschedule: \"*/15 * * * *\"\nprune: never\n" +
			"policy:\n  protect: [strava]\n",
		"production/withings.yaml": "provider: withings\n",
	}
	var lock secrets.Lock
	sealed := func(devID, provider, secret string) string {
		at := secrets.Binding{Account: secrets.DefaultAccount, DevID: devID, Provider: provider, Field: "client_secret"}
		var age secrets.Sealed
		if err == nil {
			age, err = secrets.Seal(secrets.NewValue([]byte(secret)), at, recipients)
		}
		lock.Record(age, recipients)
		return "!age |\n    " + strings.ReplaceAll(strings.TrimSpace(age.Armor()), "\n", "\n    ") + "\n"
	}
	const stravaSetup = "setup:\n  app: {done: 2026-08-01}\n  callback_domain: {value: access.tryterra.co, done: 2026-08-01}\n"
	files["production/strava.yaml"] = "provider: strava\ncredentials:\n  client_id: \"" + demoClientID + "\"\n  client_secret: " +
		sealed(demoProduction(), "strava", demoSecret) +
		stravaSetup
	files["production/virtuagym.yaml"] = "provider: virtuagym\ncredentials:\n  portal_name: acme-gyms\n  api_key: " +
		sealed(demoProduction(), "virtuagym", "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk") +
		"setup:\n  partnership: {done: 2026-07-20}\n  api_key: {done: 2026-07-24}\n"
	files[secrets.LockPath] = string(lock.Bytes())
	return files, err
}
