package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// pairs is what the data provider behind Terra thinks of client ids and secrets.
type pairs struct {
	Accepted      []pair `json:"accepted"` // not empty: no other pair is good
	Rejected      []pair `json:"rejected"`
	Unreachable   bool   `json:"unreachable"`
	QuotaUsed     bool   `json:"quota_used,omitzero"`
	TokenLifetime span   `json:"token_lifetime,omitzero"` // zero: see lifetimeOf
	UsersReturn   bool   `json:"users_return,omitzero"`
}

type pair struct {
	ClientID string    `json:"client_id"`
	Secret   string    `json:"client_secret"`
	Until    time.Time `json:"until,omitzero"` // of an accepted pair: when it dies; zero is never
}

// span is a duration that people write as 6h30m.
type span time.Duration

func (d span) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *span) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %q: want one such as 6h or 90s", b)
	}
	*d = span(parsed)
	return nil
}

// AcceptPair lets a provider know a pair. From then on it knows no others, and
// Terra checks the pairs of that provider with it where Terra does so: at Garmin.
func (s *Server) AcceptPair(provider, clientID, secret string) {
	s.editPairs(provider, func(p *pairs) { p.accept(clientID, secret) })
}

// RejectPair lets a provider reject a pair.
func (s *Server) RejectPair(provider, clientID, secret string) {
	s.editPairs(provider, func(p *pairs) { p.Rejected = append(p.Rejected, pair{ClientID: clientID, Secret: secret}) })
}

// ResetSecret gives an app a new secret, as a person in the provider's portal
// does. Each older secret of the app dies after the overlap: zero is at once,
// and no reset lets one live longer than it had.
func (s *Server) ResetSecret(provider, clientID, secret string, overlap time.Duration) {
	s.editPairs(provider, func(p *pairs) {
		end := s.now().Add(overlap)
		for i, old := range p.Accepted {
			if old.ClientID == clientID && (old.Until.IsZero() || old.Until.After(end)) {
				p.Accepted[i].Until = end
			}
		}
		p.accept(clientID, secret)
	})
}

// SetReachable says whether anybody can reach a provider: Terra to check a pair,
// others to ask about one.
func (s *Server) SetReachable(provider string, reachable bool) {
	s.editPairs(provider, func(p *pairs) { p.Unreachable = !reachable })
}

// SetQuotaUsed says whether a provider answers questions about a pair with 429.
func (s *Server) SetQuotaUsed(provider string, used bool) {
	s.editPairs(provider, func(p *pairs) { p.QuotaUsed = used })
}

// SetTokenLifetime says how long an access token of a provider lives, and so how
// long a wrong secret can stay unseen.
func (s *Server) SetTokenLifetime(provider string, d time.Duration) {
	if d <= 0 {
		misuse("SetTokenLifetime", "%s is not positive", d)
	}
	s.editPairs(provider, func(p *pairs) { p.TokenLifetime = span(d) })
}

// SetUsersReturn says whether end users that fell away come back by themselves
// once the live pair is right again. They do not unless this says so.
func (s *Server) SetUsersReturn(provider string, back bool) {
	s.editPairs(provider, func(p *pairs) { p.UsersReturn = back })
}

// Declared lists the providers that pairs or the like were declared for.
func (s *Server) Declared() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.account.Pairs))
}

func (s *Server) editPairs(provider string, f func(*pairs)) {
	s.change(func() {
		if s.account.Pairs[provider] == nil {
			s.account.Pairs[provider] = &pairs{}
		}
		f(s.account.Pairs[provider])
	})
}

func (p *pairs) accept(clientID, secret string) {
	same := func(other pair) bool { return other.is(clientID, secret) }
	p.Accepted = append(slices.DeleteFunc(p.Accepted, same), pair{ClientID: clientID, Secret: secret})
	p.Rejected = slices.DeleteFunc(p.Rejected, same)
}

func (p pair) is(clientID, secret string) bool { return p.ClientID == clientID && p.Secret == secret }

// dies says when the provider stops to accept a pair, zero for never; false when
// it does not accept it at all.
func (p *pairs) dies(clientID, secret string) (at time.Time, known bool) {
	if slices.ContainsFunc(p.Rejected, func(other pair) bool { return other.is(clientID, secret) }) {
		return time.Time{}, false
	}
	for _, other := range p.Accepted {
		if other.is(clientID, secret) {
			return other.Until, true
		}
	}
	return time.Time{}, len(p.Accepted) == 0
}

// refuses reports whether the provider refuses a pair at a time.
func (p *pairs) refuses(clientID, secret string, now time.Time) bool {
	at, known := p.dies(clientID, secret)
	return !known || !at.IsZero() && !now.Before(at)
}

// checkPair asks the provider about a pair, where Terra does that: at Garmin. A
// provider nobody declared pairs for takes every pair.
func (s *Server) checkPair(provider, clientID, secret string) *refusal {
	p, ok := s.account.Pairs[provider]
	if !ok || provider != "garmin" && !s.config.ChecksPairs {
		return nil
	}
	if p.Unreachable {
		return refuse(http.StatusServiceUnavailable, "dependency_failed", "%s could not be reached.", provider)
	}
	if p.refuses(clientID, secret, s.now()) {
		return refuse(http.StatusUnprocessableEntity, "provider_credentials_rejected",
			"%s rejected the credentials.", provider)
	}
	return nil
}

// Paths of what stands behind Terra, for ServeHTTP. Terra itself has neither.
const (
	// ProvidersPath is where the providers answer: below it come the host and the
	// path of the real address.
	ProvidersPath = "/providers"

	// PortalPath is where PortalPath/PROVIDER/ACTION does what a person does in
	// the provider's portal, with a form in a POST: accept and reset take
	// client_id and client_secret, reset an overlap such as 1h as well.
	PortalPath = "/portal"
)

// ProviderRoundTripper serves the questions that providers answer about a pair,
// at their real addresses or below ProvidersPath, without sockets. Another
// address is refused with 404: nothing leaves the process.
func (s *Server) ProviderRoundTripper() http.RoundTripper { return providerSide{s} }

type providerSide struct{ server *Server }

func (t providerSide) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := drain(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	host, path := r.URL.Hostname(), r.URL.Path
	if rest, ok := strings.CutPrefix(path, ProvidersPath+"/"); ok {
		host, path = address(rest)
	}
	return response(r, t.server.provide(r, host, path, body)), nil
}

// ProviderAddress is where ServeHTTP answers for a real address of a provider:
// origin is scheme and host of the server. False: no provider is asked there.
func ProviderAddress(origin, address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", false
	}
	known := slices.ContainsFunc(questions(), func(q question) bool { return q.host == u.Host && q.path == u.Path })
	return origin + ProvidersPath + "/" + u.Host + u.Path, known
}

// Question is one that a provider was asked about a pair. It holds no secret.
type Question struct {
	Time     time.Time
	Provider string
	ClientID string
	Status   int // of the answer
}

// Questions returns what providers were asked, in order of arrival.
func (s *Server) Questions() []Question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.questions)
}

// behind answers calls to what stands behind Terra.
func (s *Server) behind(r *http.Request, body []byte) (answer, bool) {
	if rest, ok := strings.CutPrefix(r.URL.Path, ProvidersPath+"/"); ok {
		host, path := address(rest)
		return s.provide(r, host, path, body), true
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, PortalPath+"/"); ok {
		return s.portal(r, rest, body), true
	}
	return answer{}, false
}

func address(rest string) (host, path string) {
	host, path, _ = strings.Cut(rest, "/")
	return host, "/" + path
}

func (s *Server) provide(r *http.Request, host, path string, body []byte) answer {
	for _, q := range questions() {
		if q.host != host || q.path != path {
			continue
		}
		if q.method != r.Method {
			return plain(http.StatusMethodNotAllowed)
		}
		form, id, secret := q.pairIn(r, body)
		s.mu.Lock()
		defer s.mu.Unlock()
		a := s.ask(q, form, id, secret)
		s.questions = append(s.questions, Question{Time: s.now(), Provider: q.provider, ClientID: id, Status: a.status})
		if limit := s.config.LogLimit; limit > 0 && len(s.questions) > 2*limit {
			s.questions = slices.Clone(s.questions[len(s.questions)-limit:])
		}
		return a
	}
	return plain(http.StatusNotFound)
}

// portal does what a person does by hand, and says what was wrong with a call.
func (s *Server) portal(r *http.Request, rest string, body []byte) answer {
	provider, action, _ := strings.Cut(rest, "/")
	form, err := url.ParseQuery(string(body))
	id, secret, overlap := form.Get("client_id"), form.Get("client_secret"), time.Duration(0)
	if text := form.Get("overlap"); text != "" && err == nil {
		overlap, err = time.ParseDuration(text)
	}
	s.mu.Lock()
	_, known := s.catalogue[provider]
	if _, own := s.account.Types[provider]; own {
		known = true
	}
	s.mu.Unlock()
	switch {
	case !known || action != "accept" && action != "reset":
		return plain(http.StatusNotFound)
	case r.Method != http.MethodPost:
		return plain(http.StatusMethodNotAllowed)
	case err != nil || id == "" || secret == "" || overlap < 0 || action == "accept" && form.Has("overlap"):
		return plain(http.StatusBadRequest)
	case action == "accept":
		s.AcceptPair(provider, id, secret)
	default:
		s.ResetSecret(provider, id, secret, overlap)
	}
	return answer{status: http.StatusNoContent, header: http.Header{}}
}

// lifetimeOf is how long an access token of a provider lives. Where that is not
// published it is a day: what is wrong stays unseen the longer.
func (p *pairs) lifetimeOf(provider string) time.Duration {
	if p.TokenLifetime > 0 {
		return time.Duration(p.TokenLifetime)
	}
	switch provider {
	case "strava":
		return 6 * time.Hour
	case "huawei", "whoop":
		return time.Hour
	}
	return 24 * time.Hour
}

// advance does to the end users what time did since the last look: their access
// tokens run out one after the other, evenly over a lifetime, and with a wrong
// pair no new one can be fetched. A pair that died with its overlap has been
// wrong since then.
func (s *Server) advance() {
	s.watch(func(died time.Time) time.Time { return died })
}

// turn is advance after something was changed: what became wrong with that is
// wrong from now on, however long ago the pair died.
func (s *Server) turn() {
	s.watch(func(time.Time) time.Time { return s.now() })
}

// watch brings the end users up to date; began says since when a pair that died
// at a time is wrong for its source.
func (s *Server) watch(began func(died time.Time) time.Time) {
	for provider, p := range s.account.Pairs {
		for _, e := range s.account.Environments {
			src, ok := e.Sources[provider]
			if !ok {
				continue
			}
			active, wrong := src.Active, src.WrongSince
			if died, refused := s.refused(e, provider, p, src); !refused {
				src.right(p.UsersReturn)
			} else {
				if wrong.IsZero() {
					src.WrongSince = began(died)
				}
				src.fall(s.now().Sub(src.WrongSince), p.lifetimeOf(provider))
			}
			if src.Active != active || !src.WrongSince.Equal(wrong) {
				s.revision++
			}
		}
	}
}

// refused reports whether the end users of a source get no new tokens with its
// own app, and since when: since now unless the pair died.
func (s *Server) refused(e *environment, provider string, p *pairs, src *source) (since time.Time, refused bool) {
	t, _ := s.sourceType(e, provider)
	if !s.ownInUse(t, src) {
		return time.Time{}, false
	}
	id, secret := src.Credential.ClientID, s.secretOf(src.Credential)
	if src.UsersOf == "" && src.Active > 0 {
		src.UsersOf = id
	}
	at, known := p.dies(id, secret)
	switch {
	case known && !at.IsZero() && !s.now().Before(at):
		return at, true
	case !known || src.UsersOf != "" && src.UsersOf != id:
		return s.now(), true
	}
	return time.Time{}, false
}

// right ends what was wrong.
func (s *source) right(usersReturn bool) {
	if usersReturn {
		s.Active, s.Inactive = s.Active+s.Fallen, s.Inactive-s.Fallen
	}
	s.WrongSince, s.Fallen = time.Time{}, 0
}

// fall makes users inactive, the last one first, until as many fell as the time
// asks for: all of them after one lifetime.
func (s *source) fall(passed, lifetime time.Duration) {
	users := s.Active + s.Fallen
	fallen := users
	if passed < lifetime {
		fallen = int(float64(users) * (float64(passed) / float64(lifetime)))
	}
	more := max(fallen-s.Fallen, 0)
	s.Active, s.Inactive, s.Fallen = s.Active-more, s.Inactive+more, s.Fallen+more
}
