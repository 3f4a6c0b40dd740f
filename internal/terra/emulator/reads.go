package emulator

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// Pages hold defaultPage entries unless a limit asks for fewer or, at most,
// largestPage.
const (
	defaultPage = 50
	largestPage = 200
)

type page[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

func complete[T any](list []T) answer {
	return reply(http.StatusOK, page[T]{Data: list})
}

func (s *Server) getMe(q *request) (answer, *refusal) {
	t := q.token
	me := terra.Me{
		TokenID: t.TokenID, Kind: t.Kind, CustomerID: strings.Trim(cmp.Or(t.Owner, "customer-emulator"), "-"), Scopes: t.scopes(),
		DevIDs: t.DevIDs, Name: t.Name, CreatedVia: "emulator",
		ExpiresAt: moment(t.ExpiresAt), GrantAnchorAt: moment(t.GrantAnchorAt), LastUsedAt: moment(t.LastUsedAt),
	}
	return reply(http.StatusOK, me), nil
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// environmentView is one dev-id of the account, as the API shows it.
type environmentView struct {
	DevID               string `json:"dev_id"`
	Name                string `json:"name,omitempty"`
	Label               string `json:"label,omitempty"`
	Active              bool   `json:"active,omitempty"`
	Billable            bool   `json:"billable,omitempty"`
	APIKeyMasked        string `json:"api_key_masked,omitempty"`
	SigningSecretMasked string `json:"signing_secret_masked,omitempty"`
	UserLimit           int    `json:"user_limit,omitempty"`
}

func (e *environment) view() environmentView {
	return environmentView{
		DevID: e.DevID, Name: e.Options.Name, Label: e.Options.Label,
		Active: !e.Options.Disabled, Billable: true,
	}
}

func (s *Server) listEnvironments(*request) (answer, *refusal) {
	list := []environmentView{}
	for _, id := range s.account.Order {
		list = append(list, s.account.Environments[id].view())
	}
	return complete(list), nil
}

func (s *Server) getEnvironment(q *request) (answer, *refusal) {
	e := q.env.view()
	e.APIKeyMasked, e.SigningSecretMasked, e.UserLimit = "****a1b2", "****c3d4", q.env.Options.UserLimit
	return reply(http.StatusOK, e), nil
}

func (s *Server) listSourceTypes(q *request) (answer, *refusal) {
	list := []terra.SourceType{}
	for _, provider := range s.providers(q.env) {
		t, _ := s.sourceType(q.env, provider)
		list = append(list, t)
	}
	return complete(shuffle(s, list)), nil
}

// listUsers pages through the end users without building the whole list.
func (s *Server) listUsers(q *request) (answer, *refusal) {
	query := q.http.URL.Query()
	provider := strings.ToLower(query.Get("provider"))
	if _, ok := s.sourceType(q.env, provider); query.Has("provider") && !ok {
		return answer{}, invalid("provider: unknown provider " + quote(provider))
	}
	var onlyActive, onlyInactive bool
	if query.Has("active") {
		switch query.Get("active") {
		case "true":
			onlyActive = true
		case "false":
			onlyInactive = true
		default:
			return answer{}, invalid("active: must be true or false")
		}
	}
	filter := fmt.Sprintf("users %s %s %v %v", q.env.DevID, provider, onlyActive, onlyInactive)
	start, count, r := paging(q, filter)
	if r != nil {
		return answer{}, r
	}
	var runs []userRun
	total := 0
	for _, run := range q.env.userRuns() {
		if provider != "" && run.provider != provider || onlyActive && !run.active || onlyInactive && run.active {
			continue
		}
		runs = append(runs, run)
		total += run.count
	}
	return paged(filter, start, count, total, func(i int) terra.UserConnection {
		return userAt(q.env.DevID, runs, i)
	}), nil
}

// userRun is a row of end users of one provider in one state. Users keep their
// number, and so their id, when others become active or inactive.
type userRun struct {
	provider     string
	active       bool
	first, count int
}

func (e *environment) userRuns() []userRun {
	var runs []userRun
	for provider, src := range e.Sources {
		runs = append(runs,
			userRun{provider, true, 0, src.Active},
			userRun{provider, false, src.Active, src.Inactive})
	}
	slices.SortFunc(runs, func(a, b userRun) int {
		if a.provider != b.provider {
			return strings.Compare(a.provider, b.provider)
		}
		return a.first - b.first
	})
	return runs
}

func userAt(devID string, runs []userRun, i int) terra.UserConnection {
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	created := epoch.Add(-time.Duration(i) * time.Minute)
	for _, run := range runs {
		if i < run.count {
			n := run.first + i
			return terra.UserConnection{
				UserID:      fmt.Sprintf("user-%s-%s-%06d", devID, run.provider, n),
				ReferenceID: fmt.Sprintf("reference-%06d", n),
				Provider:    run.provider,
				Active:      run.active,
				CreatedAt:   &created,
			}
		}
		i -= run.count
	}
	return terra.UserConnection{}
}

// paging reads limit and cursor. A cursor is good for the list and the filter it
// was made for, nothing else.
func paging(q *request, filter string) (start, count int, r *refusal) {
	query := q.http.URL.Query()
	count = defaultPage
	if query.Has("limit") {
		n, err := strconv.Atoi(query.Get("limit"))
		if err != nil || n < 1 {
			return 0, 0, invalid("limit: must be a number of at least 1")
		}
		count = min(n, largestPage)
	}
	if query.Has("cursor") {
		text, err := base64.RawURLEncoding.DecodeString(query.Get("cursor"))
		number, rest, ok := strings.Cut(string(text), "|")
		n, bad := strconv.Atoi(number)
		if err != nil || !ok || bad != nil || n < 0 || rest != filter {
			return 0, 0, invalid("cursor: not a cursor of this list")
		}
		start = n
	}
	return start, count, nil
}

func paged[T any](filter string, start, count, total int, at func(int) T) answer {
	p := page[T]{Data: []T{}}
	for i := start; i < min(start+count, total); i++ {
		p.Data = append(p.Data, at(i))
	}
	if next := start + count; next < total {
		cursor := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d|%s", next, filter))
		p.HasMore, p.NextCursor = true, &cursor
	}
	return reply(http.StatusOK, p)
}
