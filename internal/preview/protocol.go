package preview

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// Path is where a daemon answers. It is what is signed, wherever a proxy puts it.
const Path = "/api/v1/preview"

// PathOf is where it answers for one of several repositories; "" is the only one.
func PathOf(repository string) string {
	if repository == "" {
		return Path
	}
	return Path + "/" + repository
}

// Schema names the form of a result. Fields are added, never renamed.
const Schema = "terra-reconcile/preview/v1"

// What a request and its answer may have, in bytes.
const (
	maxRequest  = 8 << 10
	maxDocument = 4 << 20
	maxAnswer   = 16 << 20 // as JSON, with all that is told before
)

// Request asks for the plan of the newest commit of a ref.
type Request struct {
	Ref          string   `json:"ref"`                    // full name
	Commit       string   `json:"commit,omitempty"`       // that the ref must be at; "" for whatever it is at
	Environments []string `json:"environments,omitempty"` // none is all
	Format       string   `json:"format"`                 // one of Formats
}

// Formats are those of a document.
func Formats() []string { return []string{"text", "json", "markdown", "html"} }

// Progress says how far reading one environment has come.
type Progress struct {
	Environment string `json:"environment"`
	Done        int    `json:"done"` // connections
	Total       int    `json:"total"`
}

// Result is what a preview comes to.
type Result struct {
	Schema   string `json:"schema"`
	Commit   string `json:"commit"`    // that was planned, "" where none was
	ExitCode int    `json:"exit_code"` // of a dry run
	Document string `json:"document"`
	Error    string `json:"error,omitempty"` // why nothing was planned
}

// line is one of an answer. The last one holds the result.
type line struct {
	Before   int       `json:"before,omitempty"` // previews that come first
	Progress *Progress `json:"progress,omitempty"`
	Result   *Result   `json:"result,omitempty"`
}

// problem is the answer to what was refused.
type problem struct {
	Error string `json:"error"`
}

// ErrFork refuses what anybody may open.
var ErrFork = errors.New("anybody may open it from a fork; `forks: true` under `preview` in the daemon's configuration lets it be planned")

// branches begin the full name of a branch.
const branches = "refs/heads/"

var (
	forkRef = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^refs/(pull/[0-9]{1,10}/(head|merge)|merge-requests/[0-9]{1,10}/head)$`)
	})
	commitName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40}$`) })
)

// FullRef is the full name of what a person calls a ref: a branch, where it does not begin
// with refs/. What is neither a branch nor a pull request is refused, and what git would
// read as more than a name.
func FullRef(text string) (string, error) {
	ref := text
	if !strings.HasPrefix(ref, "refs/") {
		ref = branches + ref
	}
	switch {
	case !isRefName(ref):
		return "", fmt.Errorf("%q is not the name of a branch", visible.Text(text))
	case strings.HasPrefix(ref, branches), forkRef().MatchString(ref):
		return ref, nil
	}
	return "", fmt.Errorf("%q is neither a branch nor a pull request (refs/pull/N/head, refs/pull/N/merge, refs/merge-requests/N/head)", ref)
}

// isRefName is git's own rule for names, without signs that cannot be seen.
func isRefName(ref string) bool {
	const longest = 250
	if len(ref) > longest || !utf8.ValidString(ref) || strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.HasSuffix(ref, ".") ||
		strings.ContainsFunc(ref, func(r rune) bool { return visible.Hides(r) || strings.ContainsRune(" ~^:?*[\\", r) }) {
		return false
	}
	return !slices.ContainsFunc(strings.Split(ref, "/"), func(part string) bool {
		return part == "" || part == "@" || strings.HasPrefix(part, ".") || strings.HasPrefix(part, "-") || strings.HasSuffix(part, ".lock")
	})
}

// ShortRef is a ref as people call it.
func ShortRef(ref string) string { return strings.TrimPrefix(ref, branches) }

// Check refuses a request that no daemon would answer.
func (r Request) Check() error {
	full, err := FullRef(r.Ref)
	switch {
	case err != nil:
		return err
	case full != r.Ref:
		return errors.New("write out the ref as refs/heads/NAME")
	case r.Commit != "" && !commitName().MatchString(r.Commit):
		return errors.New("a commit is written with all its 40 digits, in small letters")
	case slices.Contains(r.Environments, ""):
		return errors.New("the name of an environment is empty")
	case !slices.Contains(Formats(), r.Format):
		return fmt.Errorf("the format is one of %s", strings.Join(Formats(), ", "))
	}
	return nil
}

func (r Request) isFork() bool { return forkRef().MatchString(r.Ref) }

// decode reads exactly one request.
func decode(body []byte) (r Request, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, errors.New("it is no request of a preview; is it a reconcile of another version?")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("something follows the request")
	}
	return r, r.Check()
}
