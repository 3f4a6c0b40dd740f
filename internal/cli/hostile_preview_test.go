package cli

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/metrics"
	"github.com/terra-reconcile/terra-reconcile/internal/preview"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// previewing is the previews of a daemon that follows master of the repository.
func (h *hostile) previewing() previews {
	h.t.Helper()
	h.restricted()
	name := h.vars["config"]
	text, err := os.ReadFile(name)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), "}\n", ", ref: master}\n", 1)), 0o600); err != nil {
		h.t.Fatal(err)
	}
	proc := &Process{Stdout: &h.outputs, Stderr: &h.outputs, Getenv: func(name string) string { return h.vars[name] }, Now: func() time.Time { return h.now }, Version: "test"}
	c, err := config.Load(name, proc.Getenv)
	if err != nil {
		h.t.Fatal(err)
	}
	git, err := openSource(c.Repo, 0, &secrets.Heard{})
	if err != nil {
		h.t.Fatal(err)
	}
	store, _, err := openStore(h.t.Context(), c.StateDir, report.Apply)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = store.Close() })
	ask, err := newProber(c)
	if err != nil {
		h.t.Fatal(err)
	}
	s := &commitSource{metrics: metrics.New(metrics.Options{}), proc: proc, config: c, mode: report.Apply, git: git, store: store, log: slog.New(slog.DiscardHandler),
		limits: terra.NewLimits(), transport: terra.NewTransport(), prober: ask, revisions: map[string]revision{}}
	return previews{s, s.limits.Behind(), &secrets.Heard{}}
}

// TestHostilePreviewedBranches: who may push a branch, and no more, gains by a preview of it
// nothing that a commit would not gain: what the daemon follows and remembers stays as it
// is, and nothing is written.
func TestHostilePreviewedBranches(t *testing.T) {
	ran := plugin(t, "age-plugin-evil")
	t.Cleanup(func() {
		if _, err := os.Stat(ran); err == nil {
			t.Error("a program of the repository's choice ran")
		}
	})
	tried := 0
	for _, a := range attacks() {
		if a.args != nil {
			continue // of another command, or of what no branch can be
		}
		tried++
		t.Run(a.attack, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			p := h.previewing()
			if _, err := p.source.Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			followed, err := p.source.store.Revisions()
			if err != nil {
				t.Fatal(err)
			}
			h.git("checkout", "-q", "-b", "topic")
			a.before(h)
			h.gitCommit()
			h.git("checkout", "-q", "-f", "master")
			for _, form := range []string{"json", "markdown"} {
				got := p.plan(t.Context(), preview.Request{Ref: "refs/heads/topic", Format: form}, func(preview.Progress) {})
				h.outputs.WriteString(got.Document + got.Error)
				if got.ExitCode != a.dry || strings.Contains(got.Document, "reconcile approve") || strings.Contains(got.Document, "--approve") {
					t.Errorf("exit code %d, want that of a dry run, %d:\n%s", got.ExitCode, a.dry, got.Document)
				}
			}
			a.says, a.spared = "", ""
			h.gained(a)
			if writes := h.terra.Writes(); len(writes) > 0 {
				t.Errorf("%d writes of a preview", len(writes))
			}
			if _, err := p.source.Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			now, err := p.source.store.Revisions()
			if err != nil || len(now) != len(followed) || len(now) == 0 {
				t.Fatalf("the daemon follows %v, %v, and followed %v", now, err, followed)
			}
			for i := range now {
				if now[i] != followed[i] {
					t.Errorf("the daemon follows %v, and followed %v", now[i], followed[i])
				}
			}
		})
	}
	if tried < 30 {
		t.Errorf("only %d attacks", tried)
	}
	t.Logf("COUNT hostile_previews=%d", tried)
}

// git runs the user's git in the repository.
func (h *hostile) git(args ...string) {
	h.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", h.repository()}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
