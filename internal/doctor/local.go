package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func configuration(w *world) []Result {
	where := cmp.Or(w.ConfigFile, "the environment")
	var invalid *config.InvalidError
	switch {
	case errors.As(w.ConfigErr, &invalid):
		var out []Result
		for _, p := range invalid.Problems {
			out = append(out, one(Fail, "", p.String(), runner("correct "+where))...)
		}
		return out
	case w.ConfigErr != nil:
		return advised(w.ConfigErr)
	}
	return one(OK, "", fmt.Sprintf("%s in %s", visible.Plural(len(w.Config.Accounts), "account", "accounts"), where))
}

// advised is what the runner has to put right.
func advised(err error) []Result {
	out := one(Fail, "", err.Error())
	for _, next := range advice.All(err) {
		out[0].Remediations = append(out[0].Remediations, runner(next.Text))
	}
	return out
}

// starts tells what of daemon.yaml and the files that it names a daemon does not start with.
func starts(_ context.Context, w *world) []Result {
	if w.ConfigFile == "" {
		return nil
	}
	if err := w.Starts(); err != nil {
		return advised(err)
	}
	return nil
}

// secretFiles warns of files with the runner's secrets that are not for their owner, or
// the owner's group, alone.
func secretFiles(_ context.Context, w *world) (out []Result) {
	files := append(slices.Clone(w.Config.Identities.Files), w.Config.Repo.Auth.SSHKeyFile, w.Config.Repo.Auth.Token.File())
	for _, account := range w.Config.Accounts {
		files = append(files, account.Token.File())
	}
	files = append(files, w.Config.TLS.KeyFile)
	if app := w.Config.Repo.Auth.GitHubApp; app != nil {
		files = append(files, app.KeyFile)
	}
	if proxy := w.Config.Repo.Proxy; proxy != nil {
		files = append(files, proxy.Password.File())
	}
	if w.Config.Preview != nil {
		files = append(files, w.Config.Preview.Token.File())
	}
	if w.Config.Web != nil {
		files = append(files, w.Config.Web.Read.File(), w.Config.Web.Approve.File())
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		if file != "" && isForAll(file, w.Top) {
			out = append(out, one(Warn, "", file+" can be read by every user of this machine", runner("take that right from others (chmod o=)"))...)
		}
	}
	return out
}

// isForAll tells whether any user of the machine can read or replace a file: by its
// own rights, and those of the folders from top on that lead to it.
func isForAll(file, top string) bool {
	const others, search = 0o006, 0o001
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false // whoever reads it says so
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&others == 0 {
		return false
	}
	for dir := file; dir != top && dir != "/" && dir != "."; {
		dir = filepath.Dir(dir)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&search == 0 {
			return false
		}
	}
	return true
}

func repository(ctx context.Context, w *world) []Result {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	files, commit, err := w.Files(ctx)
	if err == nil && commit.Hash == "worktree" {
		var tree gitsource.Tree
		if tree, err = WorkTree(ctx, w.Config.Repo.URL, w.Config.Repo.Path); err == nil {
			w.files = files
			why, next := Uncommitted(tree)
			return one(Warn, "", w.Config.Repo.URL+": "+why, edit(next))
		}
	}
	if err != nil {
		return one(Fail, "", err.Error())
	}
	w.files, w.commit = files, commit
	taken := ""
	if commit.Aside != "" {
		taken = fmt.Sprintf(", of the branch %s and not of %s", w.Config.Repo.Ref, commit.Aside)
	}
	if commit.Tag != "" {
		taken = ", by the tag " + commit.Tag
	}
	return one(OK, "", fmt.Sprintf("commit %.12s of %s%s", commit.Hash, w.Config.Repo.URL, taken))
}

// judge asks what the daemon makes of the commit; nothing where its configuration asks for
// nothing of it.
func judge(ctx context.Context, w *world) []Result {
	repo := w.Config.Repo
	if repo.Verify == nil && repo.Versions == "" || w.commit.Hash == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	j, err := w.Judge(ctx, w.commit)
	if err != nil {
		return one(Fail, "", fmt.Sprintf("commit %.12s cannot be judged: %s", w.commit.Hash, err))
	}
	var out []Result
	switch {
	case j.Refused != nil:
		out = one(Fail, "", fmt.Sprintf("commit %.12s is not used: %s", w.commit.Hash, j.Refused),
			step("find out who pushed it; where it is good, push one that is signed by somebody who may ("+repo.Setting()+".verify)"))
	case j.SignedBy != "":
		out = one(OK, "", fmt.Sprintf("commit %.12s is signed by %s", w.commit.Hash, j.SignedBy))
	}
	if j.Above != "" {
		out = append(out, one(Warn, "", fmt.Sprintf("the newest release %s is of a lower version than %s, which was used before: disruptive and destructive changes wait for approval", w.commit.Tag, j.Above),
			step("tag what is to be followed with a version above "+j.Above))...)
	}
	return out
}

// privateKeys looks for identities in the files of a repository: whoever reads it could
// open what is sealed for them. Git's own folder, large files and what cannot be read
// are left out.
func privateKeys(files fs.FS) (out []spec.Problem) {
	const largest = 64 << 10
	if !spec.HasRoot(files) {
		return nil // it is no config repository, and may be anything
	}
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // what a run needs and cannot read is said by the reader
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		if info, err := entry.Info(); err != nil || info.Size() > largest {
			return nil //nolint:nilerr // as above
		}
		text, err := fs.ReadFile(files, name)
		if line, kind := privateKeyLine(text); err == nil && line > 0 {
			out = append(out, spec.Problem{Severity: spec.Error, Origin: spec.Origin{File: name, Line: line, Column: 1}, Message: "this is " + kind,
				Hint: "take the file out; if it was ever committed, replace what was sealed for it, because git keeps the old file, and make a new key", Command: "secret keygen"})
		}
		return nil
	})
	return out
}

// privateKeyFiles looks for private keys in what is committed, and in the folder beside
// it: what lies there is committed one day.
func privateKeyFiles(_ context.Context, w *world) (out []Result) {
	if w.files == nil {
		return nil
	}
	seen := map[string]bool{}
	look := func(files fs.FS) {
		for _, p := range privateKeys(files) {
			if !seen[p.Origin.File] {
				seen[p.Origin.File] = true
				out = append(out, one(Fail, "", p.What(), plan.NextCommand(p.Hint, strings.Fields(p.Command)...))...)
			}
		}
	}
	look(w.files)
	if info, err := os.Stat(w.Config.Repo.URL); err == nil && info.IsDir() {
		look(os.DirFS(filepath.Join(w.Config.Repo.URL, filepath.FromSlash(w.Config.Repo.Path))))
	}
	return out
}

// privateKeyLine is the line on which a private key begins, 0 for none. Tokens are left
// to the reader of YAML: what people write about them looks like one.
func privateKeyLine(text []byte) (line int, kind string) {
	for text := range bytes.Lines(text) {
		line++
		if kind = visible.Key(string(text)); strings.HasPrefix(kind, "a private") {
			return line, kind
		}
	}
	return 0, ""
}

// routes compares those of messages with the environments, where all of them are at hand.
func routes(_ context.Context, w *world) (out []Result) {
	if w.files == nil || w.partial || w.Elsewhere || len(w.Named) > 0 || w.Config.Repo.Name != "" {
		return nil
	}
	var names []string
	for _, e := range w.set.Environments {
		names = append(names, e.Name)
	}
	for _, p := range w.Config.Notify.Unmatched(names) {
		out = append(out, one(Warn, "", fmt.Sprintf("%s: %s", p.Origin, p.Message), edit(p.Hint))...)
	}
	return out
}

// files tells errors before warnings. An environment with errors is checked no further.
func files(_ context.Context, w *world) (out []Result) {
	if w.files == nil {
		return nil
	}
	set, problems := Load(w.files, w.Now())
	slices.SortStableFunc(problems, func(a, b spec.Problem) int { return cmp.Compare(a.Severity, b.Severity) })
	failed, whole := 0, true
	for _, p := range problems {
		if p.Severity == spec.Error {
			failed++
			whole = whole && p.Environment != ""
		}
	}
	var names []string
	connections := 0
	for _, e := range set.Environments {
		names = append(names, e.Name)
		connections += len(e.Connections)
	}
	has := visible.Plural(len(names), "environment", "environments") + " with " + visible.Plural(connections, "connection", "connections")
	all := plan.NextCommand("list all of them", "validate")
	switch {
	case failed > 0:
		out = one(Fail, "", fmt.Sprintf("%s, the first is %s", visible.Plural(failed, "error", "errors"), problems[0]), all)
	case len(names) == 0:
		out = one(Fail, "", "no folder holds an environment.yaml, so nothing is desired", edit("add one, or name the folder of terra.yaml with --path"))
	case len(problems) > 0:
		out = one(Warn, "", fmt.Sprintf("%s; %s, the first is %s", has, visible.Plural(len(problems), "warning", "warnings"), problems[0].Text()), all)
	default:
		out = one(OK, "", has)
	}
	if !whole {
		w.files = nil // nothing in it can be relied on
		return out
	}
	w.set, w.partial = set, failed > 0
	for _, name := range w.Named {
		if !slices.Contains(names, name) {
			out = append(out, one(Fail, "", fmt.Sprintf("no environment is called %q", name), runner("the repository has "+strings.Join(names, ", ")))...)
		}
	}
	return out
}

// daemonDeadline is how long a daemon on this machine may take to answer.
const daemonDeadline = 3 * time.Second

// askDaemon asks who holds the state.
func askDaemon(ctx context.Context, w *world) []Result {
	ctx, cancel := context.WithTimeout(ctx, daemonDeadline)
	defer cancel()
	if w.Config.StateDir == "" {
		return one(Skip, "", "not asked: no state folder is known")
	}
	s, err := daemon.NewClient(w.Config.StateDir).Status(ctx)
	var absent *daemon.AbsentError
	var refused *daemon.RefusedError
	w.absent = errors.As(err, &absent)
	switch {
	case w.absent && w.ConfigFile == "":
		return one(Skip, "", "none answers at "+absent.Path)
	case w.absent && w.answersHealth(ctx):
		w.elsewhere = true
		return one(Warn, "", "none answers at "+absent.Path+", though one does on "+healthAddress(w.Config.Listen)+": it keeps its state elsewhere, or its folder was moved or replaced while it runs",
			runner("put the folder back, or start the daemon again with the one that is meant"))
	case w.absent:
		return one(Warn, "", "none answers at "+absent.Path, plan.NextCommand("start it", "daemon"))
	case errors.As(err, &refused):
		return one(Warn, "", "a run is under way: "+refused.Reason, wait("look again when it has ended"))
	case err != nil:
		return one(Warn, "", err.Error(), runner("ask as the user that it runs as, with sudo -u USER"))
	}
	w.answers = true
	var out []Result
	if len(s.Stuck) > 0 {
		out = one(Fail, "", "it makes no progress: "+strings.Join(s.Stuck, ", ")+" should have ended", runner("look into its log, and start it again"))
	}
	for _, u := range s.Unready {
		out = append(out, one(Fail, "", fmt.Sprintf("%s since %s: %s", u.Fails(), minute(u.Since), u.Cause))...)
	}
	does := "applies what is ready"
	if s.Mode != report.Apply {
		does = "is observe-only (apply: false)"
	}
	switch {
	case s.Poll.RefusedCommit != "":
		out = append(out, one(Fail, "", "it refuses the newest commit: "+s.Poll.Error)...)
	case s.Poll.Error != "":
		out = append(out, one(Fail, "", "it could not read the repository: "+s.Poll.Error)...)
	default:
		out = append(out, one(OK, "", fmt.Sprintf("version %s runs since %s and %s", s.Version, minute(s.StartedAt), does))...)
	}
	out = append(out, pauses(s.Paused)...)
	for _, r := range s.Each() {
		for _, e := range r.RefusedEnvironments {
			out = append(out, one(Warn, e.Name, strings.TrimPrefix(r.Name+": ", ": ")+"it is not used: "+e.Reason)...)
		}
	}
	for _, e := range s.Environments {
		if e.BehindReason != "" {
			out = append(out, one(Warn, e.Name, "it stays on an older commit: "+e.BehindReason)...)
		}
		if e.LastRun != nil && e.LastRun.Error != "" {
			out = append(out, one(Warn, e.Name, "the last run failed: "+e.LastRun.Error)...)
		}
	}
	return out
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// pauses reports each kill switch that is on, whoever knows of it.
func pauses(on []daemon.Pause) (out []Result) {
	for _, p := range on {
		out = append(out, one(Warn, cmp.Or(p.Target, "everything"), fmt.Sprintf("no changes until %s by %s: %s", minute(p.Until), p.Owner, p.Reason),
			plan.NextCommand("lift it", strings.Fields("resume "+p.Target)...))...)
	}
	return named("pause", out)
}

// askHealth asks for the page that tells whether the daemon makes progress, where
// daemon.yaml says so and a daemon runs: it holds the state, or answers there all the same.
func askHealth(ctx context.Context, w *world) []Result {
	if w.ConfigFile == "" || w.Config.StateDir == "" || w.absent && !w.elsewhere {
		return nil
	}
	address := healthAddress(w.Config.Listen)
	if strings.HasSuffix(address, ":0") {
		return one(Skip, "", "not asked: listen is "+w.Config.Listen+", which can be any port")
	}
	status, text, err := w.health(ctx, w.Config.TLS.IsSet())
	var wrong *url.Error
	switch {
	case err != nil && !errors.As(err, &wrong):
		return one(Fail, "", "listen is "+w.Config.Listen+", which cannot be asked", runner("correct it in "+w.ConfigFile))
	case err != nil && w.Config.TLS.IsSet() && w.isHealth(ctx, false):
		return one(Warn, "", "a daemon answers on "+address+" by http, without the tls of "+w.ConfigFile, runner("is it the daemon's own "+w.ConfigFile+"? A new one is used once it stands in the place of the former"))
	case err != nil:
		return one(Warn, "", "nothing answers on "+address, runner("is it the daemon's own "+w.ConfigFile+"?"))
	case status != http.StatusOK:
		return one(Fail, "", fmt.Sprintf("it answers on %s with %d: %s", address, status, text), runner("look into its log"))
	}
	return one(OK, "", "it makes progress, as it says on "+address)
}

// answersHealth tells whether something on listen answers as a daemon does.
func (w *world) answersHealth(ctx context.Context) bool {
	if strings.HasSuffix(w.Config.Listen, ":0") {
		return false
	}
	return w.isHealth(ctx, w.Config.TLS.IsSet())
}

func (w *world) isHealth(ctx context.Context, secure bool) bool {
	status, _, err := w.health(ctx, secure)
	return err == nil && (status == http.StatusOK || status == http.StatusServiceUnavailable)
}

// health asks for the page; what did not answer is a [url.Error].
func (w *world) health(ctx context.Context, secure bool) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, daemonDeadline)
	defer cancel()
	scheme, transport := "http://", &http.Transport{DisableKeepAlives: true}
	if secure { // whose certificate it is, the one who asks from elsewhere judges
		scheme, transport.TLSClientConfig = "https://", &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // nothing is sent
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+healthAddress(w.Config.Listen)+"/healthz", http.NoBody)
	if err != nil {
		return 0, "", errAddress
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // the code says enough without it
	return response.StatusCode, strings.TrimSpace(string(said)), nil
}

var errAddress = errors.New("no address of a server")

// healthAddress is where this machine reaches a server that listens there.
func healthAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// lookAtState looks at the memory without writing to it.
func lookAtState(ctx context.Context, w *world) []Result {
	dir := w.Config.StateDir
	if dir == "" {
		return one(Warn, "", "no folder is known for it, so nothing can be applied", runner("set RECONCILE_STATE_DIR or --state"))
	}
	store, err := state.OpenReadOnly(dir)
	var locked *state.LockedError
	if open := openToOthers(dir); len(open) > 0 {
		if err == nil {
			_ = store.Close() // nothing was written
		}
		return open
	}
	switch {
	case errors.As(err, &locked) && w.answers:
		return one(OK, "", dir+" is held by the daemon")
	case errors.As(err, &locked):
		out := one(Warn, "", "another reconcile has "+locked.Path+" open", wait("wait until it ends, or stop the daemon that keeps it"))
		return append(out, pausesBeside(ctx, w, locked.Path)...)
	case err != nil:
		return one(Fail, "", err.Error())
	}
	on, err := w.Pauses(store)
	missing, notes := store.Missing(), store.TakeNotes()
	out := pauses(on)
	err = errors.Join(err, store.Close())
	switch unwritable := writable(dir, missing); {
	case err != nil:
		return append(out, one(Fail, "", err.Error())...)
	case unwritable != nil:
		return append(out, one(Fail, "", unwritable.Error(), runner("let the user that runs reconcile write there, or choose another folder"))...)
	case len(notes) > 0:
		return append(out, one(Warn, "", strings.Join(notes, "; "), runner("restore the newest backup, or apply knowingly"))...)
	case missing && w.elsewhere:
		return append(out, one(Warn, "", "nothing is in "+dir+", though a daemon runs", runner("put its folder back, or name the right one with state_dir"))...)
	case missing:
		return append(out, one(OK, "", "nothing is remembered in "+dir+" yet; the first apply begins it")...)
	}
	return append(out, one(OK, "", dir+" is whole and writable")...)
}

// openToOthers says what others could do to the state folder or to the socket in it. A
// process that applies does not start there.
func openToOthers(dir string) []Result {
	if err := state.CheckFolder(dir); err != nil {
		return advised(err)
	}
	if info, err := os.Lstat(daemon.SocketPath(dir)); err == nil && info.Mode().Perm()&0o022 != 0 {
		return one(Fail, "", "others can write to "+daemon.SocketPath(dir)+", over which a plan is approved", runner("take that right from them (chmod 600)"))
	}
	return nil
}

// pausesBeside asks the run that holds the state. One that does not answer has been
// reported already.
func pausesBeside(ctx context.Context, w *world, path string) []Result {
	ctx, cancel := context.WithTimeout(ctx, daemonDeadline)
	defer cancel()
	store, err := w.Copy(ctx, path)
	if err != nil {
		return nil
	}
	on, err := w.Pauses(store)
	out := pauses(on)
	if err = errors.Join(err, store.Close()); err != nil {
		out = append(out, one(Fail, "", err.Error())...)
	}
	return out
}

// writable tries the folder with a file that is removed at once. One that is not
// there yet would be made in the nearest folder that is.
func writable(dir string, missing bool) error {
	for missing {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	f, err := os.CreateTemp(dir, ".reconcile-doctor-*")
	if err != nil {
		return fmt.Errorf("write to the state folder: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
