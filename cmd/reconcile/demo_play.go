package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// act is one command of the demo, and how it must end.
type act struct {
	title string
	does  func()   // what happens before it, outside of it
	typed string   // on standard input
	args  []string // without repository and configuration
	exit  int
	holds string // of Strava's secrets in production, the one that must be live then
}

// play runs the commands of the demo and checks that each ends as it should.
func (s *stage) play(ctx context.Context) error {
	if err := s.say("A demo of terra-reconcile. Terra is emulated; nothing leaves this machine.\n" +
		"The config repository is a git folder with sealed secrets:\n\n" + demoTree()); err != nil {
		return err
	}
	if err := s.perform(ctx, s.firstActs()); err != nil {
		return err
	}
	if err := s.say("\nKeys grow old. From here on the clock of the demo jumps, with it that of Terra\n" +
		"and of an emulated Strava behind it. A person makes a new secret in Strava's\n" +
		"portal, where the old one lives on for two weeks.\n"); err != nil {
		return err
	}
	if err := s.perform(ctx, s.keyActs()); err != nil {
		return err
	}
	return s.say("\nThat was all of it. Next: `reconcile --help`, and examples/ in the source.\n")
}

func (s *stage) firstActs() []act {
	return []act{
		{title: "Check the files: offline, no key needed", args: []string{"validate"}},
		{title: "Preview: nothing is written", args: []string{"--dry-run"}, exit: report.ExitChanges},
		{title: "Apply", args: []string{"--yes"}, holds: demoSecret},
		{title: "Once more: nothing is left to do", args: []string{"--yes"}, holds: demoSecret},
		{title: "Somebody pauses Strava by hand in the dashboard: the next look finds it",
			does: func() { s.terra.Pause(demoProduction(), "strava") }, args: []string{"--dry-run"}, exit: report.ExitChanges},
		{title: "The next run puts it back", args: []string{"--yes"}},
	}
}

// keyActs rotate a key, and then try to rotate to one that Strava refuses.
func (s *stage) keyActs() []act {
	const day = 24 * time.Hour
	due := s.env.Now().UTC().Truncate(day).Add(7*day + 2*time.Hour)
	return []act{
		{title: "The new secret is added, sealed, to be used in a night next week",
			does: func() {
				s.terra.SetUsers(demoProduction(), "strava", 214, 6)
				s.terra.ResetSecret("strava", demoClientID, demoNewSecret, 14*day)
			},
			typed: demoNewSecret, holds: demoSecret,
			args: []string{"rotate", "add", "production/strava", "--not-before", due.Format(time.RFC3339), "--commit"}},
		{title: "That night: Strava is asked about the new key, then Terra gets it",
			does: func() { s.passed += due.Sub(s.env.Now()) + time.Minute },
			args: []string{"--yes", "--env", "production"}, holds: demoNewSecret},
		{title: "How do the keys stand? The new one is watched for a day",
			does: func() { s.passed += 10 * time.Hour }, args: []string{"rotate", "status"}, holds: demoNewSecret},
		{title: "A day later the watch ends: Strava still takes the key, nobody fell away",
			does: func() { s.passed += day }, args: []string{"--yes", "--env", "production"}, holds: demoNewSecret},
		{title: "Months later somebody adds the secret of another app",
			does: func() { s.passed += 60 * day }, typed: demoWrongSecret, holds: demoNewSecret,
			args: []string{"rotate", "add", "production/strava", "--commit"}},
		{title: "Strava refuses it, so it is kept out: the key that works stays live",
			args: []string{"--yes", "--env", "production"}, exit: report.ExitHeld, holds: demoNewSecret},
	}
}

func (s *stage) perform(ctx context.Context, acts []act) error {
	repo := filepath.Join(s.dir, "config")
	for _, a := range acts {
		s.played++
		if a.does != nil {
			a.does()
		}
		if err := s.say(fmt.Sprintf("\n%d. %s\n\n%s\n", s.played, a.title, a.line())); err != nil {
			return err
		}
		args := append(slices.Clone(a.args), "--repo", repo, "--config", filepath.Join(s.dir, "daemon.yaml"))
		if a.args[0] == "validate" {
			args = []string{"validate", repo}
		}
		env := *s.env
		env.Stdin = strings.NewReader(a.typed)
		if code := run(ctx, args, &env); code != a.exit {
			return fmt.Errorf("demo step %d ended with exit code %d, expected %d", s.played, code, a.exit)
		}
		live := s.terra.Live(demoProduction()).Sources["strava"].Credential
		if a.holds != "" && (live == nil || live.Secret != a.holds) {
			return fmt.Errorf("demo step %d: Terra holds another key than expected", s.played)
		}
		if err := s.say(fmt.Sprintf("\n   (exit code %d)\n", a.exit)); err != nil {
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
	return out + line + "\n"
}
