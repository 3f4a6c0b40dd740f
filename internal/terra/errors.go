package terra

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNoIdempotencyKey is returned by a write that was called without a key.
// Nothing was sent.
var ErrNoIdempotencyKey = errors.New("the write has no idempotency key")

// Every error of this package starts with Action, the step and its object, as in
// "read credentials of prod-app/strava". Operation is the operation's id in the
// contract. Text of the server or of the network in an error holds no control
// characters, is at most 500 characters long and holds no secret of the request.

// ReadOnlyError says that a read-only client was asked to write. Nothing was
// sent.
type ReadOnlyError struct {
	Operation string
	Action    string
}

// Error names the refused step.
func (e *ReadOnlyError) Error() string {
	return e.Action + ": refused: this client is read-only (dry run)"
}

// TokenError says that the token cannot be used. Nothing was sent. Reason holds
// nothing of the token.
type TokenError struct {
	Reason string
	err    error
}

// Error says why, and what a usable token looks like.
func (e *TokenError) Error() string { return "use admin token: " + e.Reason }

// Unwrap returns the error of the function that reads the token, if there is one.
func (e *TokenError) Unwrap() error { return e.err }

// MissedAPIError is a 404 or 405 without a problem document: the answer does not
// come from the Admin API, so it never means that something does not exist.
type MissedAPIError struct {
	Operation string
	Action    string
	Status    int
	Target    string // scheme, host and path that were asked
}

// Error names the address and what to check.
func (e *MissedAPIError) Error() string {
	return e.Action + ": " + e.says()
}

func (e *MissedAPIError) says() string {
	return fmt.Sprintf("the request missed the admin API (%d at %s): check the base URL or the server's version", e.Status, e.Target)
}

// PartialListError says that a list ended early or contradicts itself. No item
// of it may be used to conclude that something is absent.
type PartialListError struct {
	Operation string
	Action    string
	Reason    string
}

// Error says how the list is incomplete.
func (e *PartialListError) Error() string {
	return e.Action + ": the list is incomplete: " + e.Reason + "; run again later"
}

// BadAnswerError is an answer that breaks the contract: not JSON, empty, cut off,
// a required field missing, about something else than was asked, or a redirect.
// Reason holds no value of the answer.
type BadAnswerError struct {
	Operation string
	Action    string
	Status    int
	Reason    string
}

// Error says what is wrong with the answer.
func (e *BadAnswerError) Error() string {
	return e.Action + ": " + e.says()
}

func (e *BadAnswerError) says() string {
	return fmt.Sprintf("unusable answer (%d): %s", e.Status, e.Reason)
}

// ConnectionError says that no answer arrived. For a write it means that the
// request never left; a write that may have left is an [AmbiguousError].
type ConnectionError struct {
	Operation string
	Action    string
	Reason    string
	Next      string // what a person does about it; "" where nothing is to be done
	Timeout   bool   // the deadline of the call passed
	err       error
}

// Error gives the network's own words, cleaned, and one next step.
func (e *ConnectionError) Error() string {
	if e.Next == "" {
		return e.Action + ": " + e.says()
	}
	return e.Action + ": " + e.says() + "; " + e.Next
}

func (e *ConnectionError) says() string { return "no answer: " + e.Reason }

// Unwrap returns context.Canceled or context.DeadlineExceeded when one of them is
// the cause, else nil: other causes may quote the server.
func (e *ConnectionError) Unwrap() error { return e.err }

// AmbiguousError is a write that may or may not have happened: it was sent, and
// its answer was lost, unusable, or a server fault. The caller reads back, or
// sends the same body with the same key again.
type AmbiguousError struct {
	Operation string
	Action    string
	Err       error // what was seen last
}

// Error says that the effect is unknown, and the cause.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s: sent, and whether it happened is unknown: %v", e.Action, withoutAction(e.Err))
}

// Unwrap returns context.Canceled or context.DeadlineExceeded when one of them is
// the cause, else nil: a problem behind it, such as not_found, proves nothing
// about the write, so nobody should find it by accident.
func (e *AmbiguousError) Unwrap() error {
	var connection *ConnectionError
	if errors.As(e.Err, &connection) {
		return connection.err
	}
	return nil
}

// DryRunUnprovenError says that the server has not shown that it honours
// dry_run, so nothing was compared through it. Err is nil when the server
// answered the proof as a real write, or when no proof was tried yet.
type DryRunUnprovenError struct {
	Tried bool
	Err   error
}

// Error is the reason shown next to "not compared".
func (e *DryRunUnprovenError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("prove dry_run: %v", e.Err)
	case e.Tried:
		return "prove dry_run: the server did not honour dry_run"
	default:
		return "prove dry_run: the server was not asked yet whether it honours dry_run"
	}
}

// Unwrap returns why the proof failed, if the server did not simply ignore it.
func (e *DryRunUnprovenError) Unwrap() error { return e.Err }

// PreviewSilentError says that the server's previews of a provider's credentials do
// not say whether anything would change, so nothing can be compared through them.
type PreviewSilentError struct {
	DevID    string
	Provider string
	Tried    bool // false: there was no visible field to try it with
}

// Error is the reason shown next to "not compared".
func (e *PreviewSilentError) Error() string {
	if !e.Tried {
		return "compare credentials of " + e.DevID + "/" + e.Provider + ": Terra shows no client id to try its previews with"
	}
	return "compare credentials of " + e.DevID + "/" + e.Provider + ": this server does not say in a preview that nothing would change"
}

// MayHaveWrittenError is the worst answer: a comparison by dry_run was answered
// as if it had been real. Every run must stop, and a person must look.
type MayHaveWrittenError struct {
	DevID    string
	Provider string
	Field    string
}

// Error names the field that may now hold the desired value.
func (e *MayHaveWrittenError) Error() string {
	return fmt.Sprintf("compare %s of %s/%s: the server stopped honouring dry_run: may have been written: %s/%s",
		e.Field, e.DevID, e.Provider, e.Provider, e.Field)
}

// withoutAction is the text of err without the step it shares with the error
// around it.
func withoutAction(err error) string {
	var problem *Problem
	var bad *BadAnswerError
	var connection *ConnectionError
	var missed *MissedAPIError
	switch {
	case errors.As(err, &problem):
		return problem.says()
	case errors.As(err, &bad):
		return bad.says()
	case errors.As(err, &missed):
		return missed.says()
	case errors.As(err, &connection):
		return connection.says()
	default:
		return err.Error()
	}
}

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
	CodeEntitlementRequired  = "entitlement_required"
)

// codePattern is what a problem code looks like; anything else is not one.
var codePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z_]{0,63}$`) })

// scopePattern finds a token scope in a sentence.
var scopePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b[a-z_]+:(?:read|write)\b`) })

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
	Product     string        // with entitlement_required: what the account's plan does not include; "" where it is not said

	// AppliedAppIDs are the Garmin apps whose webhooks were written before an apply
	// failed half way.
	AppliedAppIDs []string
}

// Error is one line: the step, the status and code, what the server said, and
// one next step.
func (p *Problem) Error() string {
	if p.Action == "" {
		return p.says()
	}
	if p.Code != "" { // which nobody between us and Terra would send
		return p.Action + ": Terra says " + p.says()
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
	if p.Product != "" {
		b.WriteString(" (product " + p.Product + ")")
	}
	if len(p.AppliedAppIDs) > 0 {
		b.WriteString("; written before it failed: the webhooks of " + strings.Join(p.AppliedAppIDs, ", "))
	}
	if p.RetryAfter > maxPause {
		b.WriteString("; Terra asks to wait " + p.RetryAfter.Round(time.Second).String() + ", longer than a run does")
	}
	if next := p.next(); next != "" {
		b.WriteString("; " + next)
	}
	return b.String()
}

// next is the one next step that is shown: ours where we know more than the
// server can, else the server's, in quotes: nobody takes them for ours.
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
	remediation := strings.ReplaceAll(strings.TrimRight(p.Remediation, ". "), `"`, "'")
	switch {
	case p.Code == "" && p.Status < 500:
		return beforeTheAPI
	case remediation != "":
		return `Terra says: "` + remediation + `"`
	case p.Code == CodeEntitlementRequired:
		return "the plan of this Terra account does not include it: change the plan or ask Terra support, and leave it out of the files until then"
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

// againLater ends the reason of an answer that may be another one later.
const againLater = "run again later"

// Passes reports whether the same call may succeed later although nobody does anything:
// Terra or the way to it is out of order, or asks for less.
func Passes(err error) bool {
	var problem *Problem
	var connection *ConnectionError
	var bad *BadAnswerError
	var partial *PartialListError
	return errors.As(err, &problem) && (problem.Status >= 500 || problem.Code == CodeRateLimited) ||
		errors.As(err, &connection) || errors.As(err, &partial) || errors.As(err, &bad) && strings.HasSuffix(bad.Reason, againLater)
}

// IsNotFound reports whether err is the server saying that the thing does not
// exist: a problem document with the code not_found. A 404 of anything else, an
// unknown environment or a missed API, is not.
func IsNotFound(err error) bool { return HasCode(err, CodeNotFound) }

// HasCode reports whether err is, or wraps, a problem with that code.
func HasCode(err error, code string) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code
}
