package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

var update = flag.Bool("update", false, "rewrite what the tests compare with")

// TestMain also is the command: a script runs this binary under its name.
func TestMain(m *testing.M) {
	testscript.Main(walk.Quick(m), map[string]func(){"bench-terra": serveBenchTerra})
}

// TestScripts runs every script in testdata/script against the real command as a
// process of its own. Beside testscript's commands there are, in these files:
//
//	config                    make ./config from testdata/config: sealed, committed
//	commit DIR MESSAGE        commit everything in DIR
//	seal FILE FIELD TEXT      seal a secret for a field of a connection file
//	plant TEXT                look for TEXT as for any other secret
//	exits [-within D] N CMD…  run CMD, which must end with exit code N, within D on a quiet machine
//	terra …                   see terraCommand
//	daemon …                  see daemonCommand
//	terminal …                see terminalCommand
//	provider …                see providerCommand
//	forge …                   see forgeCommand
//	prometheus …              see prometheusCommand
//	receiver …                see receiverCommand
//	page, form, guess         see pageCommand, formCommand and guessCommand
//	cut FILE BYTES            take bytes off its end
//	newer FILE                make a state file one of the next format
//	fill FILE                 put variables into it
//	flat TEXT                 standard output holds TEXT, however it is folded
//	shape FILE                list the fields of a JSON document
//	types N PATTERN           run the command that the last output tells to type
//	remote, certificate, address, sameplan, digest   see script_preview_test.go
//	planhash FILE NAME        set NAME to production's plan hash in a JSON report, and NAME8
//	                          to its first 8 digits
//
// At the end nothing that was planted may stand in any output or file.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("got %d scripts, %v", len(scripts), err)
	}
	program := programAt(t, t.TempDir())
	testscript.Run(t, testscript.Params{
		Files:               scripts,
		Setup:               func(env *testscript.Env) error { return setUpScript(env, program) },
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"config": configCommand,
			"commit": commitCommand,
			"seal":   sealCommand,
			"plant":  plantCommand,
			"exits":  exitsCommand,
			"terra":  terraCommand,
			"daemon": daemonCommand,
			"fill":   fillCommand,
			"cut":    cutCommand,
			"newer":  newerCommand,
			"flat":   flatCommand,
			"shape":  shapeCommand,

			"planhash": planHashCommand,
			"terminal": terminalCommand,
			"provider": providerCommand,
			"forge":    forgeCommand,
			"receiver": receiverCommand,

			"prometheus": prometheusCommand,
			"types":      typesCommand,
			"page":       pageCommand,
			"form":       formCommand,
			"guess":      guessCommand,

			"remote":      remoteCommand,
			"certificate": certificateCommand,
			"address":     addressCommand,
			"sameplan":    samePlanCommand,
			"digest":      digestCommand,
		},
	})
}

// scene is what the commands of one script share.
type scene struct {
	t       testing.TB
	work    string
	program string
	planted []string
	outputs []string // file names below out/
	terra   *terratest.Server
	daemon  *background

	prometheus string // its address

	provider *dataProvider
	forge    *fakeForge
	receiver *messageReceiver
	visitor  *visitor

	remoteHangs atomic.Pointer[chan struct{}] // the git server answers nothing until it is closed
	remoteAsked chan struct{}
}

type sceneKey struct{}

func setUpScript(env *testscript.Env, program string) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("the scripts are not run by go test")
	}
	s := &scene{t: t, work: env.WorkDir, program: program}
	env.Values[sceneKey{}] = s
	// Programs that a script must do without are not in $NOPATH.
	env.Setenv("NOPATH", filepath.Dir(program))
	env.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+env.Getenv("PATH"))
	for _, dir := range []string{"home", "out"} {
		if err := os.Mkdir(filepath.Join(s.work, dir), 0o700); err != nil {
			return err
		}
	}
	env.Setenv("HOME", filepath.Join(s.work, "home"))
	env.Setenv("RECONCILE_STATE_DIR", filepath.Join(s.work, "state"))
	// A call that is not meant to leave must not reach the real service.
	env.Setenv("TERRA_BASE_URL", "http://127.0.0.1:1/api/v3/admin")
	env.Defer(func() { s.searchLeaks(t) })
	return nil
}

func sceneOf(ts *testscript.TestScript) *scene {
	s, ok := ts.Value(sceneKey{}).(*scene)
	if !ok {
		ts.Fatalf("no scene")
	}
	return s
}

// need stops the script unless a command has the right number of words.
func need(ts *testscript.TestScript, neg bool, args []string, least, most int, usage string) {
	if neg || len(args) < least || len(args) > most {
		ts.Fatalf("usage: %s", usage)
	}
}

func exitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	within := patience
	if len(args) > 1 && args[0] == "-within" {
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		within, args = d*busy, args[2:]
	}
	need(ts, neg, args, 2, 100, "exits [-within D] CODE PROGRAM ARGS…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	began := time.Now()
	err = ts.Exec(args[1], args[2:]...)
	took := time.Since(began)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Check(err)
	}
	s := sceneOf(ts)
	s.keep(ts, "stdout", ts.ReadFile("stdout"))
	s.keep(ts, "stderr", ts.ReadFile("stderr"))
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
	if took > within {
		ts.Fatalf("took %s, want at most %s", took.Round(time.Millisecond), within)
	}
	if isReport(args[2:]) {
		checkWidth(ts, ts.ReadFile("stdout"))
	}
}

// keep leaves an output where the search for leaks finds it.
func (s *scene) keep(ts *testscript.TestScript, stream, text string) {
	name := filepath.Join("out", fmt.Sprintf("%03d-%s", len(s.outputs), stream))
	s.outputs = append(s.outputs, name)
	ts.Check(os.WriteFile(filepath.Join(s.work, name), []byte(text), 0o600))
}

// isReport: what is printed is text for a person at a terminal, and ours; a history is whole
// where nobody sits at one.
func isReport(args []string) bool {
	for _, other := range []string{"json", "markdown", "html", "-h", "--help", "help", "completion", "secret", "providers", "__complete", "history"} {
		if slices.Contains(args, other) {
			return false
		}
	}
	return true
}

func checkWidth(ts *testscript.TestScript, text string) {
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 && strings.Contains(strings.TrimSpace(line), "  ") {
			ts.Fatalf("a line has %d columns, want at most 80:\n%s", n, line)
		}
	}
}

func configCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 0, 0, "config")
	s := sceneOf(ts)
	dir := ts.MkAbs("config")
	ts.Check(os.CopyFS(dir, os.DirFS(scriptsConfig(ts))))
	public := s.identity(ts, ts.MkAbs("identity.txt"))
	ts.Setenv("RECONCILE_AGE_KEY_FILE", ts.MkAbs("identity.txt"))
	file := filepath.Join(dir, "terra.yaml")
	text, err := os.ReadFile(file)
	ts.Check(err)
	ts.Check(os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "RECIPIENT", public)), 0o600))
	s.seal(ts, filepath.Join(dir, "production/strava.yaml"), "client_secret", "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa")
	s.seal(ts, filepath.Join(dir, "staging/virtuagym.yaml"), "api_key", "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk")
	commit(ts, dir, "Connect Strava and Virtuagym")
}

// scriptsConfig is the folder of this package, whatever the script's own is.
func scriptsConfig(ts *testscript.TestScript) string {
	dir, err := os.Getwd()
	ts.Check(err)
	return filepath.Join(dir, "testdata", "config")
}

// identity makes an identity, plants it and returns its recipient.
func (s *scene) identity(ts *testscript.TestScript, file string) (recipient string) {
	s.command(ts, "", "secret", "keygen", "--out", file)
	text, err := os.ReadFile(file)
	ts.Check(err)
	for line := range strings.Lines(string(text)) {
		if private, ok := strings.CutPrefix(strings.TrimSpace(line), "AGE-SECRET-KEY-"); ok {
			s.planted = append(s.planted, private)
		}
		if _, public, ok := strings.Cut(line, "public key: "); ok {
			recipient = strings.TrimSpace(public)
		}
	}
	return recipient
}

func (s *scene) seal(ts *testscript.TestScript, file, field, text string) {
	s.planted = append(s.planted, text)
	s.command(ts, text, "secret", "encrypt", file, "--field", field)
}

// command runs a command line inside the test's process, for what a script sets
// up and does not test.
func (s *scene) command(ts *testscript.TestScript, stdin string, args ...string) {
	var out strings.Builder
	code := Run(context.Background(), args, &Process{
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out, Getenv: ts.Getenv, Now: time.Now, Version: "test",
	})
	if code != exitOK {
		ts.Fatalf("reconcile %s: exit code %d\n%s", strings.Join(args, " "), code, out.String())
	}
}

func sealCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, 3, "seal FILE FIELD TEXT")
	sceneOf(ts).seal(ts, ts.MkAbs(args[0]), args[1], args[2])
}

func plantCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 1, "plant TEXT")
	s := sceneOf(ts)
	s.planted = append(s.planted, args[0])
}

func commitCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, 2, "commit DIR MESSAGE")
	commit(ts, ts.MkAbs(args[0]), args[1])
}

func commit(ts *testscript.TestScript, dir, message string) {
	_, err := commitAll(dir, message, time.Now())
	ts.Check(err)
}

// commitAll commits a folder as it stands and returns the hash.
func commitAll(dir, message string, at time.Time) (string, error) {
	repo, err := git.PlainOpen(dir)
	if errors.Is(err, git.ErrRepositoryNotExists) {
		repo, err = git.PlainInit(dir, false)
	}
	if err != nil {
		return "", err
	}
	tree, err := repo.Worktree()
	if err != nil {
		return "", err
	}
	if err := tree.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		return "", err
	}
	who := &object.Signature{Name: "Script", Email: "script@example.com", When: at}
	hash, err := tree.Commit(message, &git.CommitOptions{Author: who, Committer: who})
	return hash.String(), err
}

// emulated is the account of a dev_id at an emulator on this machine.
func emulated(devID string) state.Environment {
	return state.Environment{API: "loopback" + emulator.BasePath, Customer: "customer-emulator", DevID: devID}
}
