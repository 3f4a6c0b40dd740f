//go:build linux && amd64

package cli

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// filesSampled is how many deaths of all that there are CI tries, as in the kill walk.
const filesSampled = 64

// filesCommand is a command that writes new files, the last of which makes them count.
type filesCommand struct {
	name  string
	args  []string
	start map[string]string // files that are there before
	marks string
	env   []string
	whole map[string]string // what is there afterwards
}

// TestFilesWalk ends init and import before each system call by which they change a file,
// and in the middle of each write: what is there is whole, an environment or a repository
// is there with all of its files or not at all, and the same command completes it.
func TestFilesWalk(t *testing.T) {
	program := programAt(t, t.TempDir())
	type attempt struct {
		command *filesCommand
		death   death
	}
	var all []attempt
	for _, c := range filesCommands(t) {
		calls, err := c.dies(t, program, t.TempDir(), death{})
		if err != nil {
			cannotTrace(t, err.Error())
		}
		for n, call := range calls {
			all = append(all, attempt{c, death{beforeWrite, n + 1}})
			if call.writes {
				all = append(all, attempt{c, death{inWrite, n + 1}})
			}
		}
	}
	chosen, seed := walk.Sample(t, all, filesSampled, func(a attempt) string { return a.command.name + a.death.kind })
	t.Logf("COUNT files_walk_seed=%d", seed)
	t.Logf("COUNT files_walk_points=%d", len(all))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	for _, a := range chosen {
		group.Go(func() error {
			_, err := a.command.dies(t, program, t.TempDir(), a.death)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s, death %s %d: %v", a.command.name, a.death.kind, a.death.n, err)
			}
			return nil
		})
	}
	_ = group.Wait()
	t.Logf("COUNT files_walk_deaths=%d", len(chosen))
}

// filesCommands are those that are tried, each with what it leaves where nobody disturbs it.
func filesCommands(t *testing.T) []*filesCommand {
	t.Helper()
	e := newAccount(t, terratest.EnvironmentOptions{})
	for _, slug := range []string{"oura", "strava", "withings"} {
		e.terra.Enable(importedDevID, slug)
	}
	return []*filesCommand{
		{name: "init", args: []string{"init", "DIR", "--env", "live", "--dev-id", importedDevID, "--recipient", "age13dgrm4cf5xh62y7zxu62yn5scmmc4ekhrvvjv8vd64zz0gggm4sq4466ls"}, marks: "terra.yaml"},
		{
			name: "import", args: []string{"import", "--out", "DIR", "--env", "live", "--dev-id", importedDevID}, marks: "live/environment.yaml",
			start: map[string]string{"terra.yaml": "version: 1\n"},
			env:   []string{"TERRA_BASE_URL=" + e.vars["TERRA_BASE_URL"], "TERRA_ADMIN_TOKEN=" + e.vars["TERRA_ADMIN_TOKEN"]},
		},
	}
}

// dies runs the command once with that death and once without, and looks at what is there
// after either.
func (c *filesCommand) dies(t *testing.T, program, home string, how death) ([]traced, error) {
	t.Helper()
	dir := filepath.Join(home, "config")
	for name, text := range c.start {
		write(t, filepath.Join(dir, name), text)
	}
	run := func(traces *tracer) (string, int, error) {
		cmd := exec.CommandContext(t.Context(), program)
		for _, arg := range c.args {
			cmd.Args = append(cmd.Args, strings.Replace(arg, "DIR", dir, 1))
		}
		cmd.Env = append([]string{"HOME=" + home}, c.env...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if traces == nil {
			err := cmd.Run()
			return out.String(), cmd.ProcessState.ExitCode(), err
		}
		status, err := traces.run(cmd, cmd.Start)
		return out.String(), status.ExitStatus(), err
	}
	traces := &tracer{dir: dir, death: how, plain: true}
	said, code, err := run(traces)
	if err != nil || how == (death{}) && code != 0 {
		return nil, fmt.Errorf("exit code %d, %w: %s", code, err, said)
	}
	now := filesOf(t, dir)
	if how == (death{}) {
		c.whole = now
		return traces.calls, nil
	}
	for name, text := range now {
		if c.whole[name] != text {
			return nil, fmt.Errorf("%s is not whole:\n%s", name, text)
		}
	}
	if _, counts := now[c.marks]; counts && len(now) < len(c.whole) {
		return nil, fmt.Errorf("%s is there, and of the other files only %v", c.marks, slices.Sorted(maps.Keys(now)))
	} else if counts {
		return nil, nil
	}
	if said, code, err := run(nil); code != 0 {
		return nil, fmt.Errorf("once more: exit code %d, %w: %s", code, err, said)
	}
	if now = filesOf(t, dir); !maps.Equal(now, c.whole) {
		return nil, fmt.Errorf("once more: there is %v", slices.Sorted(maps.Keys(now)))
	}
	return nil, nil
}

// filesOf reads the files of a repository, but for those that got no name yet.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case path == dir && os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".reconcile-"):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		text, err := os.ReadFile(path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
