package emulator

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

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
