package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const (
	ciExamples   = "../../examples/ci"
	ciComment    = "comment_tok_9fLw2QxT7bRk"
	ciPreview    = "preview_tok_Jc5Vn8Ua1hDz"
	ciMarker     = report.Marker
	ciCommit     = "6f1d3a9c0b7e4d2a8c5f1e0b9a7d6c4e3f2a1b0c"
	hostileNames = "x'\"$(touch pwned)`touch pwned`;touch${IFS}pwned|&"
)

// workflow is what the tests read of a workflow of GitHub or Forgejo.
type workflow struct {
	On          map[string]yaml.Node
	Permissions map[string]string
	Jobs        map[string]struct {
		If          string
		Permissions map[string]string
		Steps       []struct {
			Name, Uses, Run, If string
			Env                 map[string]string
		}
	}
}

func readWorkflow(t *testing.T, forge string) (w workflow) {
	t.Helper()
	if err := yaml.Unmarshal(ciExample(t, forge), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// pipeline is what the tests read of a job of GitLab.
type pipeline struct {
	Rules     []struct{ If string }
	Variables map[string]string
	Script    []string
}

func readPipeline(t *testing.T) map[string]pipeline {
	t.Helper()
	jobs := map[string]pipeline{}
	if err := yaml.Unmarshal(ciExample(t, "gitlab"), &jobs); err != nil {
		t.Fatal(err)
	}
	return jobs
}

func ciExample(t *testing.T, forge string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(ciExamples, forge+".yml"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestExamplesOfCIHaveTheCheckOfInit: what init writes is a part of what people copy.
func TestExamplesOfCIHaveTheCheckOfInit(t *testing.T) {
	t.Parallel()
	for _, forge := range []string{"github", "gitlab", "forgejo"} {
		check, err := forges.ReadFile("forges/" + forge + ".yml")
		if err != nil {
			t.Fatal(err)
		}
		job := string(check)[strings.Index(string(check), "validate:"):]
		if !strings.Contains(string(ciExample(t, forge)), job) {
			t.Errorf("%s: the example does not have the job of init:\n%s", forge, job)
		}
	}
}

// TestExamplesOfCIGuardTheirSecrets: no script holds what somebody else may have named, no
// fork gets to a secret, and no job may do more than it does.
func TestExamplesOfCIGuardTheirSecrets(t *testing.T) {
	t.Parallel()
	for _, forge := range []string{"github", "forgejo"} {
		w := readWorkflow(t, forge)
		if _, bad := w.On["pull_request_target"]; bad || len(w.On) != 3 {
			t.Errorf("%s: runs on %v", forge, w.On)
		}
		if diff := cmp.Diff(map[string]string{"contents": "read"}, w.Permissions); diff != "" {
			t.Errorf("%s: %s", forge, diff)
		}
		for name, job := range w.Jobs {
			for _, step := range job.Steps {
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s %s: a script holds an expression:\n%s", forge, name, step.Run)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout") && name != "validate" {
					t.Errorf("%s %s: files of a pull request have no business beside secrets", forge, name)
				}
				if step.Uses != "" && !regexp.MustCompile(`^actions/[a-z-]+@v[0-9]+$`).MatchString(step.Uses) {
					t.Errorf("%s %s uses %s", forge, name, step.Uses)
				}
				for variable, value := range step.Env {
					if strings.Contains(value, "secrets.") != (variable == "RECONCILE_PREVIEW_TOKEN") || name == "validate" {
						t.Errorf("%s %s: %s is %s", forge, name, variable, value)
					}
				}
			}
		}
		if !strings.Contains(w.Jobs["preview"].If, "github.event.pull_request.head.repo.full_name == github.repository") {
			t.Errorf("%s: a fork is not skipped: %s", forge, w.Jobs["preview"].If)
		}
	}
	github := readWorkflow(t, "github").Jobs
	if diff := cmp.Diff([]map[string]string{{"pull-requests": "write"}, {}, nil}, []map[string]string{github["preview"].Permissions, github["drift"].Permissions, github["validate"].Permissions}); diff != "" {
		t.Errorf("github: jobs may do (-want +got):\n%s", diff)
	}
	for name, job := range readPipeline(t) {
		if name != "validate" && job.Variables["GIT_STRATEGY"] != "none" {
			t.Errorf("gitlab %s: files of a merge request have no business beside secrets", name)
		}
		if name == "preview" && (len(job.Rules) != 1 || !strings.HasSuffix(job.Rules[0].If, "&& $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID")) {
			t.Errorf("gitlab: a fork is not skipped: %v", job.Rules)
		}
	}
}

// comment is one of a pull request.
type comment struct {
	ID     int    `json:"id"`
	Body   string `json:"body"`
	User   login  `json:"user"`
	Author login  `json:"author"`
}

type login struct {
	Login    string `json:"login"`
	Username string `json:"username"`
}

// comments is the part of a forge that has the comments of one pull request.
type comments struct {
	mu     sync.Mutex
	forge  string
	all    []comment
	leaked bool // the token stands elsewhere than in its header
	closed bool // the token may not write any more
}

func (c *comments) add(body, author string) {
	c.all = append(c.all, comment{ID: len(c.all) + 1, Body: body, User: login{Login: author}, Author: login{Username: author}})
}

func (c *comments) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	header, one, list, update := q.Header.Get("Authorization"), "/api/repos/acme/terra-config/issues/comments/", "/api/repos/acme/terra-config/issues/7/comments", http.MethodPatch
	want, me := "token "+ciComment, map[string]string{"github": "github-actions[bot]", "forgejo": "forgejo-actions"}[c.forge]
	if c.forge == "gitlab" {
		header, want, me, update = q.Header.Get("Private-Token"), ciComment, "project_3_bot", http.MethodPut
		list = "/api/v4/projects/3/merge_requests/7/notes"
		one = list + "/"
	}
	body, err := io.ReadAll(q.Body)
	c.leaked = c.leaked || strings.Contains(q.RequestURI+string(body), ciComment)
	number, found := strings.CutPrefix(q.URL.Path, one)
	var sent comment
	switch {
	case err != nil || header != want || c.closed && q.Method != http.MethodGet:
		w.WriteHeader(http.StatusUnauthorized)
	case q.Method == http.MethodGet && q.URL.Path == "/api/v4/user":
		_ = json.NewEncoder(w).Encode(login{Username: me})
	case q.Method == http.MethodGet && q.URL.Path == list && q.URL.Query().Get("per_page") == "100":
		page, _ := strconv.Atoi(q.URL.Query().Get("page"))
		from := min(100*(page-1), len(c.all))
		_ = json.NewEncoder(w).Encode(c.all[from:min(from+100, len(c.all))])
	case q.Method == http.MethodPost && q.URL.Path == list && json.Unmarshal(body, &sent) == nil:
		c.add(sent.Body, me)
		w.WriteHeader(http.StatusCreated)
	case q.Method == update && found && json.Unmarshal(body, &sent) == nil:
		if i, err := strconv.Atoi(number); err == nil && i > 0 && i <= len(c.all) && c.all[i-1].User.Login == me {
			c.all[i-1].Body = sent.Body
			return
		}
		w.WriteHeader(http.StatusForbidden)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// ciMachine is where the scripts of a job run: a folder, and a reconcile that does as a test
// says.
type ciMachine struct {
	t        *testing.T
	dir      string
	comments *comments
	address  string
	output   string // of all scripts
}

func newCIMachine(t *testing.T, forge string) *ciMachine {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("REQUIRE_ALL") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	m := &ciMachine{t: t, dir: t.TempDir(), comments: &comments{forge: forge}}
	server := httptest.NewServer(m.comments)
	t.Cleanup(server.Close)
	m.address = server.URL
	for _, name := range []string{"reconcile", "go", "apt-get"} {
		text := "#!/bin/sh\nexit 0\n"
		if name == "reconcile" {
			text = "#!/bin/sh\nprintf '%s\\n' \"$@\" >arguments\n[ \"$RECONCILE_PREVIEW_TOKEN\" = " + ciPreview + " ] || exit 64\nfor file; do :; done\ncase $file in *.json) cat report >\"$file\" ;; *) [ ! -e plan ] || cat plan >\"$file\" ;; esac\nexit \"$(cat code)\"\n"
		}
		if err := os.MkdirAll(filepath.Join(m.dir, "bin"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, "bin", name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// preview runs the scripts of the job preview where the daemon answers with a code and a
// plan, "" for none, and gives whether the job succeeds.
func (m *ciMachine) preview(code int, plan string) bool {
	m.t.Helper()
	_ = os.Remove(filepath.Join(m.dir, "preview.md"))
	_ = os.Remove(filepath.Join(m.dir, "plan"))
	files := map[string]string{"code": strconv.Itoa(code)}
	if plan != "" {
		files["plan"] = plan
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	if m.comments.forge == "gitlab" {
		return m.run(strings.Join(readPipeline(m.t)["preview"].Script, "\n"), map[string]string{
			"RECONCILE_URL": "https://daemon.example", "RECONCILE_PREVIEW_TOKEN": ciPreview, "RECONCILE_COMMENT_TOKEN": ciComment,
			"CI_API_V4_URL": m.address + "/api/v4", "CI_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "7", "CI_COMMIT_SHA": ciCommit,
			"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": hostileNames,
		})
	}
	values := map[string]string{
		"vars.RECONCILE_URL": "https://daemon.example", "secrets.RECONCILE_PREVIEW_TOKEN": ciPreview, "github.head_ref": hostileNames,
		"github.event.pull_request.head.sha": ciCommit, "github.token": ciComment, "github.api_url": m.address + "/api",
		"github.repository": "acme/terra-config", "github.event.number": "7",
	}
	succeeds := true
	for _, step := range readWorkflow(m.t, m.comments.forge).Jobs["preview"].Steps {
		if step.Run == "" || !succeeds && step.If == "" {
			continue
		}
		env := map[string]string{}
		for name, value := range step.Env {
			env[name] = regexp.MustCompile(`\$\{\{ ([a-zA-Z_.]+) \}\}`).ReplaceAllStringFunc(value, func(expression string) string {
				known, ok := values[strings.Trim(expression, "${} ")]
				if !ok {
					m.t.Errorf("%s is %s, which this test does not know", name, expression)
				}
				return known
			})
		}
		succeeds = m.run(step.Run, env) && succeeds
	}
	return succeeds
}

// run runs a script as the forges do.
func (m *ciMachine) run(script string, env map[string]string) bool {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Dir = m.dir
	cmd.Env = []string{"PATH=" + filepath.Join(m.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + m.dir}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	output, err := cmd.CombinedOutput()
	m.output += string(output)
	return err == nil
}

// TestPreviewComments runs the job preview of each forge: it keeps to one comment, its own,
// whatever the branch is called, and says so where there is no preview.
func TestPreviewComments(t *testing.T) {
	t.Parallel()
	for _, forge := range []string{"github", "gitlab", "forgejo"} {
		t.Run(forge, func(t *testing.T) {
			t.Parallel()
			m := newCIMachine(t, forge)
			c := m.comments
			c.add(ciMarker+"\nI am the preview, too", "mallory")
			for i := range 150 { // so that ours is on the second page
				c.add(fmt.Sprintf("chat %d, of %s", i, ciMarker), "ada")
			}
			const plan = "**1 connection ready** `$(touch pwned)` \"é\"\n"
			for i, run := range []struct {
				code     int
				plan     string
				succeeds bool
			}{
				{2, plan, true},
				{0, "nothing to change\n", true},
				{3, "held\n", true},
				{1, "1 error\n", false},
				{64, "", false},
				{2, strings.Repeat("wide \\ \"quotes\" é\n", 3500), true},
			} {
				says := ciMarker + " No preview of commit " + ciCommit + ": the log of this job says why.\n"
				if run.plan != "" {
					run.plan = ciMarker + "\n" + run.plan
					says = run.plan
				}
				if got := m.preview(run.code, run.plan); got != run.succeeds {
					t.Fatalf("run %d: it succeeds: %t\n%s", i, got, m.output)
				}
				if len(c.all) != 152 {
					t.Fatalf("run %d: %d comments\n%s", i, len(c.all), m.output)
				}
				if got := c.all[151].Body; got != says {
					t.Errorf("run %d: %q, want %q", i, got, says)
				}
			}
			if c.all[0].Body != ciMarker+"\nI am the preview, too" || c.leaked {
				t.Errorf("somebody else's comment is %q, the token leaked: %t", c.all[0].Body, c.leaked)
			}
			arguments, err := os.ReadFile(filepath.Join(m.dir, "arguments"))
			want := []string{"preview", "--url", "https://daemon.example", "--ref", hostileNames, "--commit", ciCommit, "-o", "markdown", "--out", "preview.md", ""}
			if diff := cmp.Diff(want, strings.Split(string(arguments), "\n")); err != nil || diff != "" {
				t.Errorf("asked otherwise (-want +got): %v\n%s", err, diff)
			}
			if _, err := os.Stat(filepath.Join(m.dir, "pwned")); err == nil {
				t.Error("the name of a branch was run")
			}
			if c.closed = true; m.preview(2, plan) {
				t.Errorf("it succeeds without a comment:\n%s", m.output)
			}
			for _, token := range []string{ciComment, ciPreview} {
				if strings.Contains(m.output, token) {
					t.Errorf("the output holds a token:\n%s", m.output)
				}
			}
		})
	}
}

// TestDriftFails: drift makes the job of the schedule fail, and so does what could not be
// compared, and a daemon that does not answer; what only waits does not.
func TestDriftFails(t *testing.T) {
	t.Parallel()
	document := func(cause string, code int, compared bool) string {
		var b strings.Builder
		r := report.New(report.DryRun, ciCommit, time.Unix(0, 0))
		e := report.Environment{Name: "production"}
		if cause != "" {
			e.Changes = []report.Change{{Change: plan.Change{Connection: "production/strava", Cause: plan.Cause(cause), Gate: plan.Waiting}}}
		}
		if !compared {
			e.NotCompared = []plan.NotCompared{{Connection: "production/strava", Field: "client_secret"}}
		}
		r.Environments = []report.Environment{e}
		if r.Finish(time.Unix(1, 0)); r.ExitCode != code {
			t.Fatalf("%s: exit code %d, want %d", cause, r.ExitCode, code)
		}
		if err := report.JSON(&b, r); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, forge := range []string{"github", "gitlab", "forgejo"} {
		m := newCIMachine(t, forge)
		for name, run := range map[string]struct {
			code     int
			report   string
			succeeds bool
		}{
			"in sync":      {0, document("", 0, true), true},
			"waits":        {2, document("create", 2, true), true},
			"held":         {3, document("commit", 2, true), true},
			"drift":        {2, document("drift", 2, true), false},
			"not compared": {2, document("", 2, false), false},
			"no answer":    {1, document("", 0, true), false},
			"a fault":      {70, document("", 0, true), false},
		} {
			for file, text := range map[string]string{"code": strconv.Itoa(run.code), "report": run.report, "plan": "the report\n", "summary": ""} {
				if err := os.WriteFile(filepath.Join(m.dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			script := strings.Join(readPipeline(t)["drift"].Script, "\n")
			if forge != "gitlab" {
				steps := readWorkflow(t, forge).Jobs["drift"].Steps
				script = steps[len(steps)-1].Run
			}
			got := m.run(script, map[string]string{"RECONCILE_URL": "https://daemon.example", "RECONCILE_PREVIEW_TOKEN": ciPreview, "BRANCH": "main", "CI_DEFAULT_BRANCH": "main",
				"GITHUB_STEP_SUMMARY": filepath.Join(m.dir, "summary")})
			if got != run.succeeds {
				t.Errorf("%s, %s: it succeeds: %t\n%s", forge, name, got, m.output)
			}
			shown, err := os.ReadFile(filepath.Join(m.dir, map[string]string{"github": "summary", "gitlab": "drift.md", "forgejo": "drift.md"}[forge]))
			if run.code != 70 && (err != nil || string(shown) != "the report\n") {
				t.Errorf("%s, %s: it shows %q, %v", forge, name, shown, err)
			}
		}
		if !strings.Contains(m.output, "drift of production/strava\n") || !strings.Contains(m.output, "not compared, production/strava\n") {
			t.Errorf("%s does not say what drifted:\n%s", forge, m.output)
		}
		arguments, err := os.ReadFile(filepath.Join(m.dir, "arguments"))
		if at := strings.Split(string(arguments), "\n"); err != nil || !slices.Equal(at[:5], []string{"preview", "--url", "https://daemon.example", "--ref", "main"}) {
			t.Errorf("%s: asked %q, %v", forge, at, err)
		}
	}
}
