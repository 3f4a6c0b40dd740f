package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// misuse runs a line that cannot be understood, and gives what is said of it.
func misuse(t *testing.T, terminal bool, args ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	proc := &Process{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" },
		Terminals: Terminals{Stderr: terminal}}
	code := Run(t.Context(), args, proc)
	if out.Len() > 0 {
		t.Errorf("%q: on standard output: %s", args, out.String())
	}
	return code, errs.String()
}

func TestMisuseIsExplained(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ line, want, help string }{
		{"apply", "apply: missing: PLAN.json\n  for example: reconcile apply plan.json\n", "apply"},
		{"approve production", "approve: missing: HASH\n", "approve"},
		{"apply a.json b.json", "apply: it takes PLAN.json and no more, and was given 2 words\n", "apply"},
		{"validate a b", "validate: it takes DIR and no more, and was given 2 words\n", "validate"},
		{"plan production", "plan: it takes flags only; --env NAME chooses an environment\n", "plan"},
		{"version now", "version: it takes no words after it\n", "version"},
		{"pln", "there is no command \"pln\"; did you mean \"plan\"?\n", ""},
		{"secret encrpt", "secret: there is no command \"encrpt\"; did you mean \"encrypt\"?\n", "secret"},
		{"secret qqqq", "secret: there is no command \"qqqq\"; there is decrypt, edit, encrypt, keygen, recipients, rekey\n", "secret"},
		{"help secret encrpt", "did you mean \"encrypt\"?\n", "secret"},
		{"completion tcsh", "there is no command \"tcsh\"; there is bash, fish, powershell, zsh\n", "completion"},
		{"--aprove x", "there is no flag --aprove; did you mean --approve?\n", ""},
		{"plan --yes", "plan: there is no flag --yes here, only without a command\n", "plan"},
		{"plan --qqqq", "plan: there is no flag --qqqq\n", "plan"},
		{"plan -z", "plan: there is no flag -z\n", "plan"},
		{"plan -- -", "plan: it takes flags only", "plan"},
		{"plan --env", "plan: --env wants a NAME after it\n  for example: reconcile plan --env production\n", "plan"},
		{"plan --=x", "plan: a flag is written --name, --name value or --name=value\n", "plan"},
		{"history --limit many", "history: --limit \"many\": use a number\n", "history"},
		{"rotate prune production/strava --key one", "--key \"one\": use a number\n", "rotate prune"},
		{"apply plan.json --max-age 3", "--max-age \"3\": use a duration such as 45m or 2h\n", "apply"},
		{"--yes=3", "--yes \"3\": use it alone, or with =true or =false\n", ""},
		{"pause", "pause: missing: --for DURATION --reason WHY\n", "pause"},
		{"pause --reason x", "pause: missing: --for DURATION\n", "pause"},
		{"pause --for 1h --reason=", "pause: --reason is empty", "pause"},
		{"pause --for 721h --reason x", "--for \"721h\": a pause lasts at most 30d; for longer commit a suspend\n", "pause"},
		{"pause --for 31d --reason x", "a pause lasts at most 30d", "pause"},
	} {
		code, said := misuse(t, false, strings.Fields(test.line)...)
		if code != exitUsage || !strings.Contains(said, test.want) {
			t.Errorf("%q: exit code %d, %s\nwant %s", test.line, code, said, test.want)
		}
		if want := "\n  see: " + strings.TrimSpace("reconcile "+test.help) + " --help\n"; !strings.HasSuffix(said, want) {
			t.Errorf("%q: %s\ndoes not end with %s", test.line, said, want)
		}
		checkTyped(t, said)
	}
}

// checkTyped holds the commands in a text to be understood as they stand.
func checkTyped(t *testing.T, text string) {
	t.Helper()
	for _, command := range regexp.MustCompile("(?m)(?:^ *|: )reconcile ([a-z-][^:\n]*)$").FindAllStringSubmatch(text, -1) {
		root := newRoot(&Process{Stdout: io.Discard, Stderr: io.Discard})
		cmd, rest, err := root.Find(strings.Fields(command[1]))
		if err != nil || cmd == root && !strings.HasPrefix(rest[0], "-") {
			t.Errorf("%s is no command: %v", command[0], err)
			continue
		}
		cmd.InitDefaultHelpFlag()
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("%s: %v", command[0], err)
		}
		if help, _ := cmd.Flags().GetBool("help"); !help && cmd.ValidateArgs(cmd.Flags().Args()) != nil && !strings.Contains(command[0], `"`) {
			t.Errorf("%s: its arguments are refused", command[0])
		}
	}
}

// What was typed in a wrong place may be a secret.
func TestMisuseRepeatsNoSecret(t *testing.T) {
	t.Parallel()
	const planted = "Hunter2-0123456789abcdef"
	for _, line := range [][]string{
		{"secret", "encrypt", "production/strava.yaml", planted}, {"rotate", "add", "production/strava", planted}, {planted},
		{"secret", planted}, {"plan", planted}, {"secret", "encrypt", "a.yaml", "--=" + planted}, {"secret", "encrypt", "--secret=" + planted},
	} {
		if code, said := misuse(t, false, line...); code != exitUsage || strings.Contains(said, planted) {
			t.Errorf("exit code %d, and it says %s", code, said)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	t.Parallel()
	said := map[string]string{}
	for _, word := range []string{"version", "--version"} {
		var out bytes.Buffer
		proc := &Process{Stdout: &out, Stderr: &out, Version: "1.2.3", Getenv: func(string) string { return "" }}
		if code := Run(t.Context(), []string{word}, proc); code != exitOK {
			t.Errorf("%s: exit code %d", word, code)
		}
		said[word] = out.String()
	}
	if said["version"] != said["--version"] || !strings.HasPrefix(said["version"], "reconcile 1.2.3 (Terra Admin API ") {
		t.Errorf("got %q", said)
	}
}

// Errors are folded for eyes only, and what is to be copied is never parted.
func TestErrorsAreFoldedOnATerminal(t *testing.T) {
	t.Parallel()
	folder := t.TempDir() + "/" + strings.Repeat("long-", 20)
	line := []string{"pause", "production/strava", "--for", "2h", "--reason", "incident 12", "--state", folder}
	_, piped := misuse(t, false, line...)
	if strings.Count(piped, "\n") != 1 || !strings.Contains(piped, folder) {
		t.Errorf("not one line: %q", piped)
	}
	_, shown := misuse(t, true, line...)
	if strings.Join(strings.Fields(shown), " ") != strings.Join(strings.Fields(piped), " ") {
		t.Errorf("folding changed the text\n%s%s", piped, shown)
	}
	for text := range strings.Lines(shown) {
		if strings.Contains(text, "  ") && utf8.RuneCountInString(text) > width && !strings.Contains(text, folder) {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(text), text)
		}
	}
	command := []string{"pause", "--state", strings.Repeat("long/", 20), "--for", "2h"}
	address := "https://git.example/" + strings.Repeat("long/", 20)
	hash := "sha256:" + strings.Repeat("a3", 32)
	var out bytes.Buffer
	proc := &Process{Stderr: &out, Terminals: Terminals{Stderr: true}}
	printError(proc, advice.With(errors.New("see "+address+" and "+hash+"\n  below: it is as it was and a great deal of text that goes on and on, longer than a line\n  short"), "use a long line", command...))
	folded := out.String()
	for _, whole := range []string{"\n    " + plan.Command(command).String() + "\n", address + "\n", hash + "\n", "\n  below: ", "\n  short\n", "\n  use a long line:\n"} {
		if !strings.Contains(folded, whole) {
			t.Errorf("%q is not whole in\n%s", whole, folded)
		}
	}
}

// The exit codes are told in the same words everywhere.
func TestExitCodesAreToldInOneWay(t *testing.T) {
	t.Parallel()
	flat := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	for _, file := range []string{"../../README.md", "../../docs/operations.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range report.Exits() {
			if !strings.Contains(flat(string(text)), flat("**"+strconv.Itoa(e.Code)+"** "+e.Says)) {
				t.Errorf("%s does not say **%d** %s", file, e.Code, e.Says)
			}
		}
	}
	for _, c := range commands(newRoot(&Process{})) {
		says := strings.Contains(help(t, c), "\nExit codes:\n"+exitCodes())
		if runs := c.Flags().Lookup("exit-code") != nil; says != runs {
			t.Errorf("%s: exit codes in its help: %t, want %t", c.CommandPath(), says, runs)
		}
	}
}

// Help and document say the same of where an identity is kept.
func TestKeygenHelpAgreesWithItsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/secrets.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(text)), " ")
	said := strings.Join(strings.Fields(newSecretKeygenCommand(&Process{}).Long), " ")
	for _, want := range []string{
		"Keep one where the daemon runs, and one more, offline, in case that machine is lost", "Who is to read secrets has one of their own.",
		"all classic or all post-quantum, because age cannot mix them.",
	} {
		if !strings.Contains(page, want) || !strings.Contains(said, want) {
			t.Errorf("page %t, help %t: %s", strings.Contains(page, want), strings.Contains(said, want), want)
		}
	}
}

func help(t *testing.T, c *cobra.Command) string {
	t.Helper()
	var out bytes.Buffer
	c.SetOut(&out)
	if err := c.Help(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
