package cli

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completed gives the words that a shell is offered for a line, and how it goes on.
func completed(t *testing.T, words ...string) (offered []string, how cobra.ShellCompDirective) {
	t.Helper()
	var out, errs bytes.Buffer
	proc := &Process{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	if code := Run(t.Context(), append([]string{"__complete"}, words...), proc); code != exitOK || strings.Contains(errs.String(), "Error") {
		t.Fatalf("%q: exit code %d: %s", words, code, errs.String())
	}
	if strings.Contains(out.String(), "$(") {
		t.Errorf("%q: offered what a shell would run: %s", words, out.String())
	}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if number, ok := strings.CutPrefix(line, ":"); ok {
			how = cobra.ShellCompDirective(number[0] - '0')
			if len(number) > 1 {
				how = 10*how + cobra.ShellCompDirective(number[1]-'0')
			}
			continue
		}
		word, _, _ := strings.Cut(line, "\t")
		offered = append(offered, word)
	}
	return offered, how
}

// TestCompletion: names of the repository that the line names, words of flags, and files
// where a file belongs.
func TestCompletion(t *testing.T) {
	t.Parallel()
	const repo = "--repo=../../examples/config"
	for _, c := range []struct {
		line string
		want string // all of them, or the first
		how  cobra.ShellCompDirective
	}{
		{"plan " + repo + " --env ", "production staging", cobra.ShellCompDirectiveNoFileComp},
		{"plan " + repo + " --only production/s", "production/samsung production/strava", cobra.ShellCompDirectiveNoFileComp},
		{repo + " --approve staging", "staging= staging/huawei= staging/samsung= staging/strava= staging/virtuagym= staging/withings=", cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace},
		{"diff " + repo + " production ", "production staging", cobra.ShellCompDirectiveNoFileComp},
		{"diff " + repo + " production staging ", "", cobra.ShellCompDirectiveNoFileComp},
		{"rotate add " + repo + " staging/v", "staging/virtuagym", cobra.ShellCompDirectiveNoFileComp},
		{"import --out=../../examples/config --env ", "production staging", cobra.ShellCompDirectiveNoFileComp},
		{"plan --output ", "text json markdown html", cobra.ShellCompDirectiveNoFileComp},
		{"validate -o ", "text json github", cobra.ShellCompDirectiveNoFileComp},
		{"init --ci g", "github gitlab", cobra.ShellCompDirectiveNoFileComp},
		{"providers stra", "strava", cobra.ShellCompDirectiveNoFileComp},
		{"secret encrypt x.yaml --field ", "client_secret verification_secret", cobra.ShellCompDirectiveNoFileComp},
		{"secret encrypt ", "", cobra.ShellCompDirectiveDefault},
		{"apply ", "json", cobra.ShellCompDirectiveFilterFileExt},
		{"plan --config ", "yaml yml", cobra.ShellCompDirectiveFilterFileExt},
		{"validate ", "", cobra.ShellCompDirectiveFilterDirs},
		{"plan --repo ", "", cobra.ShellCompDirectiveFilterDirs},
		{"plan --out ", "", cobra.ShellCompDirectiveDefault},
		{"pause --reason ", "", cobra.ShellCompDirectiveNoFileComp},
		{"demo ", "rotation", cobra.ShellCompDirectiveNoFileComp},
		{"help secr", "secret secrets", cobra.ShellCompDirectiveNoFileComp},
		{"plan --repo=https://git.example/acme/terra --env ", "", cobra.ShellCompDirectiveNoFileComp},
	} {
		if offered, how := completed(t, strings.Split(c.line, " ")...); strings.Join(offered, " ") != c.want || how != c.how {
			t.Errorf("%s: got %q, %d, want %q, %d", c.line, offered, how, c.want, c.how)
		}
	}
}

// TestCompletionNeverFails: at every command and every flag, in a repository that does not
// load. What has no plain name is not offered, for a shell may read more than a word in it.
func TestCompletionNeverFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "terra.yaml"), "version: seven\n")
	write(t, filepath.Join(dir, "good/environment.yaml"), "dev_id: \"$(touch here)\"\nprune: never\n")
	write(t, filepath.Join(dir, "good/strava.yaml"), "provider: strava\n")
	write(t, filepath.Join(dir, "good/bad.yaml"), "provider: \"$(touch here)\"\n")
	write(t, filepath.Join(dir, "bad/environment.yaml"), "dev_id: [\n")
	write(t, filepath.Join(dir, "$(touch here)/environment.yaml"), "dev_id: x\nprune: never\n")
	count := 0
	for _, c := range commands(newRoot(&Process{})) {
		words := strings.Fields(c.CommandPath())[1:]
		if c.Flags().Lookup("repo") != nil {
			words = append(words, "--repo="+dir)
		}
		ask := func(more ...string) {
			completed(t, append(slices.Clone(words), more...)...)
			count++
		}
		ask("")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.NoOptDefVal == "" && f.Name != "repo" {
				ask("--"+f.Name, "")
			}
		})
	}
	if offered, _ := completed(t, "plan", "--repo="+dir, "--only", ""); !slices.Equal(offered, []string{"good/strava"}) {
		t.Errorf("of a repository that does not load: %q", offered)
	}
	t.Logf("COUNT completions_asked=%d", count)
}
