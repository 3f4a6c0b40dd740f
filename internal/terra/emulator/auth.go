package emulator

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// window counts the calls of one token.
type window struct {
	start time.Time
	calls int
}

func unauthorized(code, detail string) *refusal {
	r := refuse(http.StatusUnauthorized, code, "%s", detail)
	r.remediation = "Create an admin token (terra_at_) in the dashboard or with `terra login`."
	return r
}

// authenticate finds the token of a call.
func (s *Server) authenticate(q *request) *refusal {
	scheme, bearer, _ := strings.Cut(q.http.Header.Get("Authorization"), " ")
	bearer = strings.TrimSpace(bearer)
	t, ok := s.account.Tokens[bearer]
	switch {
	case !strings.EqualFold(scheme, "Bearer") || bearer == "":
		return unauthorized("unauthorized", "A bearer token is missing.")
	case strings.HasPrefix(bearer, "terra_dt_") || ok && t.Kind == "data":
		return unauthorized("unauthorized", "A data token never works on the Admin API.")
	case !ok || t.Revoked:
		return unauthorized("unauthorized", "The token is not known.")
	case !t.ExpiresAt.IsZero() && !s.now().Before(t.ExpiresAt):
		return unauthorized("token_expired", "The token expired at "+t.ExpiresAt.UTC().Format(time.RFC3339)+".")
	}
	t.LastUsedAt = s.now()
	q.token, q.call.TokenID = t, t.TokenID
	return nil
}

// scopes are those in force. A token that is limited to environments holds no
// scope of the account.
func (t *Token) scopes() []string {
	list := []string{}
	for _, scope := range t.Scopes {
		if t.DevIDs == nil || !strings.HasPrefix(scope, "account:") {
			list = append(list, scope)
		}
	}
	return list
}

// authorize checks scope, audience and environment, in this order: a token
// learns nothing about an environment it may not touch.
func (s *Server) authorize(q *request) *refusal {
	if scope := q.route.scope; scope != "" && !slices.Contains(q.token.scopes(), scope) {
		r := refuse(http.StatusForbidden, "scope_missing", "The token lacks the scope %s.", scope)
		r.remediation = "Create a token that has the scope " + scope + "."
		return r
	}
	devID := q.call.DevID
	if devID == "" {
		return nil
	}
	if q.token.DevIDs != nil && !slices.Contains(q.token.DevIDs, devID) {
		r := refuse(http.StatusForbidden, "audience_restricted", "The token may not act on the environment %s.", quote(devID))
		r.remediation = "Use a token whose dev_ids include the environment."
		return r
	}
	env, ok := s.account.Environments[devID]
	if !ok {
		return refuse(http.StatusNotFound, "dev_id_not_found", "The account has no environment %s.", quote(devID))
	}
	if env.Options.Disabled {
		return refuse(http.StatusForbidden, "environment_disabled", "The environment %s is disabled.", quote(devID))
	}
	q.env = env
	return nil
}

func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most]
	}
	return strconv.Quote(s)
}

// meter counts the call against its token's limit. Mutations say where they
// stand in X-RateLimit headers.
func (s *Server) meter(q *request, header http.Header) *refusal {
	rate := s.config.RateLimit
	if rate.Calls == 0 {
		return nil
	}
	if rate.Per == 0 {
		rate.Per = time.Minute
	}
	now := s.now()
	w := s.windows[q.token.TokenID]
	if w == nil || now.Sub(w.start) >= rate.Per {
		w = &window{start: now}
		s.windows[q.token.TokenID] = w
	}
	over := w.calls >= rate.Calls
	if !over {
		w.calls++
	}
	end := w.start.Add(rate.Per)
	if q.call.Write || over {
		seconds := int64((end.Sub(now) + time.Second - 1) / time.Second)
		if rate.Epoch {
			seconds += now.Unix()
		}
		header.Set("X-RateLimit-Limit", strconv.Itoa(rate.Calls))
		header.Set("X-RateLimit-Remaining", strconv.Itoa(rate.Calls-w.calls))
		header.Set("X-RateLimit-Reset", strconv.FormatInt(seconds, 10))
	}
	if !over {
		return nil
	}
	r := refuse(http.StatusTooManyRequests, "rate_limited", "The token made %d calls in %v.", rate.Calls, rate.Per)
	r.retryAfter = end.Sub(now)
	return r
}
