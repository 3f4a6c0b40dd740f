package terra

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The problem codes a caller decides by. The full list is in the contract.
const (
	CodeNotFound             = "not_found"
	CodeDevIDNotFound        = "dev_id_not_found"
	CodeEnvironmentDisabled  = "environment_disabled"
	CodeUnauthorized         = "unauthorized"
	CodeTokenExpired         = "token_expired"
	CodeScopeMissing         = "scope_missing"
	CodeAudienceRestricted   = "audience_restricted"
	CodeAccessDenied         = "access_denied"
	CodeRateLimited          = "rate_limited"
	CodeValidationFailed     = "validation_failed"
	CodeConflict             = "conflict"
	CodeNotReady             = "not_ready"
	CodePreconditionFailed   = "precondition_failed"
	CodeIdempotencyKeyReuse  = "idempotency_key_reuse"
	CodeUnsupportedOperation = "unsupported_operation"
	CodeCredentialsRejected  = "provider_credentials_rejected"
	CodeDependencyFailed     = "dependency_failed"
	CodeServiceUnavailable   = "service_unavailable"
	CodeInternalError        = "internal_error"
)

// codePattern is what a problem code looks like; anything else is not one.
var codePattern = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)

// scopePattern finds a token scope in a sentence.
var scopePattern = regexp.MustCompile(`\b[a-z_]+:(?:read|write)\b`)

// Problem is an error that the server explained (RFC 9457), or an HTTP error
// without a document, which has no Code. Branch on Code, never on prose.
//
//nolint:errname // RFC 9457 and the contract call it a problem
type Problem struct {
	Status      int
	Code        string
	Title       string
	Detail      string
	Remediation string
	Errors      []string // "field: message"
	Operation   string
	Action      string
	RetryAfter  time.Duration // 0: the server named none
	Scope       string        // with scope_missing: the scope the token lacks
}

// Error is one line: the step, the status and code, what the server said, and
// one next step.
func (p *Problem) Error() string {
	if p.Action == "" {
		return p.says()
	}
	return p.Action + ": " + p.says()
}

func (p *Problem) says() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", p.Status)
	if p.Code != "" {
		b.WriteString(" " + p.Code)
	}
	said := p.Detail
	if said == "" {
		said = p.Title
	}
	if said != "" {
		b.WriteString(": " + strings.TrimRight(said, ". "))
	}
	if len(p.Errors) > 0 {
		b.WriteString(": " + strings.Join(p.Errors, "; "))
	}
	if next := p.next(); next != "" {
		b.WriteString("; " + next)
	}
	return b.String()
}

// next is the one next step that is shown: ours where we know more than the
// server can, else the server's.
func (p *Problem) next() string {
	switch p.Code {
	case CodeScopeMissing:
		if p.Scope == "" {
			break
		}
		return "create a token with the scope " + p.Scope + " in Terra's dashboard and give it to the runner"
	case CodeTokenExpired:
		return "create a new token in Terra's dashboard and give it to the runner"
	case CodeUnauthorized:
		return "check the token that the runner uses, or create a new one in Terra's dashboard"
	case CodeAudienceRestricted:
		return "use a token that may act on this dev_id"
	case CodeDevIDNotFound:
		return "check dev_id in environment.yaml and the account it names"
	case CodeEnvironmentDisabled:
		if p.Remediation == "" {
			return "enable the environment in Terra's dashboard, or leave it out: a folder with _ before its name is not read"
		}
	}
	remediation := strings.TrimRight(p.Remediation, ". ")
	switch {
	case p.Code == "" && p.Status < 500:
		return beforeTheAPI
	case remediation != "":
		return remediation
	case p.Code == CodeAccessDenied:
		return "use a token of somebody whose role allows it: a token has the rights of the person who made it"
	case p.Code == CodeRateLimited, p.Status >= 500:
		return "run again later, or ask Terra support if it lasts"
	case slices.Contains([]string{CodeConflict, CodeNotReady, CodePreconditionFailed}, p.Code):
		return "run again: somebody else may have changed it meanwhile"
	}
	return ""
}

// beforeTheAPI is the next step where the answer does not look like Terra's.
const beforeTheAPI = "something before the admin API may have answered: check the base URL and the proxy"

// IsNotFound reports whether err is the server saying that the thing does not
// exist: a problem document with the code not_found. A 404 of anything else, an
// unknown environment or a missed API, is not.
func IsNotFound(err error) bool { return HasCode(err, CodeNotFound) }

// HasCode reports whether err is, or wraps, a problem with that code.
func HasCode(err error, code string) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code
}
