package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// messages tell receivers what the daemon does and finds. Their zero value tells nobody.
type messages struct {
	*notify.Messenger
	sources sources
	routes  sync.Once // that are compared with the environments
}

// newMessages makes what tells the receivers of a configuration; without any, what was
// remembered for them is forgotten.
func newMessages(all sources) (*messages, error) {
	common := all.common()
	c, store := common.config.Notify, common.store
	if c == nil {
		_, known, err := store.HeardUntil()
		if err == nil && known {
			err = store.ForgetMessages()
		}
		return &messages{}, err
	}
	o := notify.MessengerOptions{Store: store, Owner: all.ownerOf, Running: func(name string) bool { return all.of(name).isRunning(name) }, Now: common.proc.Now, Log: all.log(),
		Command: (&messages{sources: all}).command,
		Tried:   func(receiver string, taken bool, at time.Time) { common.metrics.Notified(receiver, taken, at) }}
	for _, r := range c.Receivers {
		o.Receivers = append(o.Receivers, receiverOf(r, common.transport, common.proc.Version))
	}
	for _, r := range c.Routes {
		o.Routes = append(o.Routes, notify.Route{Events: r.Events, Severities: r.Severities, Environments: r.Environments, Owners: r.Owners, Receivers: r.Receivers, Remind: r.Remind})
	}
	messenger, err := notify.NewMessenger(o)
	if err != nil {
		return nil, err
	}
	m := &messages{Messenger: messenger, sources: all}
	for _, s := range all {
		s.hear = append(s.hear, func(r report.Report) {
			m.Hear(r)
			m.Set("tokens", m.tokens())
		})
	}
	return m, m.endFormer(store)
}

// pollMessages is what tells of the polls of a repository.
func pollMessages(name string) string { return strings.TrimSpace("poll " + name) }

// endFormer ends what polls told of repositories that are not followed any more.
func (m *messages) endFormer(store *state.Store) error {
	told, err := store.Conditions()
	for _, source := range slices.Sorted(maps.Keys(told)) {
		name, polls := strings.CutPrefix(source+" ", pollMessages("")+" ")
		name = strings.TrimSpace(name)
		if polls && !slices.ContainsFunc(m.sources, func(s *commitSource) bool { return s.config.Repo.Name == name }) {
			m.Set(source, nil)
		}
	}
	return err
}

func receiverOf(r config.Receiver, transport http.RoundTripper, version string) notify.Receiver {
	out := notify.Receiver{Name: r.Name, Form: notify.Form(r.Form), At: r.At.String(), Address: r.Target, Transport: transport, Version: version,
		Mail: notify.Mail{Server: r.Server, Username: r.Username, From: r.From, To: r.To}}
	if r.Secret.IsSet() {
		out.Secret = r.Secret.Read
	}
	return out
}

func (all sources) ownerOf(environment, connection string) string {
	return all.of(environment).ownerOf(environment, connection)
}

// ownerOf is whom an environment, or a connection of it, concerns; "" for nobody.
func (s *commitSource) ownerOf(environment, connection string) string {
	s.mu.Lock()
	g := s.revisions[environment]
	s.mu.Unlock()
	for _, e := range g.set.Environments {
		if e.Name == environment {
			return e.OwnerOf(strings.TrimPrefix(connection, environment+"/"))
		}
	}
	return ""
}

// devIDOf is the dev_id of an environment, "" where that is not known.
func (s *commitSource) devIDOf(environment string) string {
	g, _ := s.revision(environment)
	return g.environment.DevID
}

// isRunning tells whether a run of an environment is under way.
func (s *commitSource) isRunning(environment string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[environment]
}

// messagesStop is how long the end of the daemon waits for a message on its way. What does
// not end by then waits for the next start, as all others do.
const messagesStop = 2 * time.Second

// start sends messages until stop, and tells of what no run does: that the daemon is not
// ready.
func (m *messages) start(ctx context.Context, d *daemon.Daemon) (stop func()) {
	if m.Messenger == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx, func() {
			m.Set("ready", m.unready(d.Status().Unready))
		})
	}()
	return func() {
		cancel()
		late := time.NewTimer(messagesStop)
		defer late.Stop()
		select {
		case <-done:
		case <-late.C:
			m.sources.log().Warn("a message is still on its way; it is sent again after the next start")
		}
	}
}

// poller looks at a repository, and tells what it finds; without receivers it is that of the
// repository.
func (m *messages) poller(s *commitSource) daemon.Poller {
	if m.Messenger == nil {
		return s
	}
	return toldPoller{m, s}
}

type toldPoller struct {
	messages *messages
	source   *commitSource
}

// Poll is that of the source, and tells what it finds.
func (p toldPoller) Poll(ctx context.Context) ([]daemon.Environment, error) {
	m, s := p.messages, p.source
	environments, err := s.Poll(ctx)
	if environments == nil {
		return environments, err // git tells nothing, which is heard of when that lasts
	}
	m.Set(pollMessages(s.config.Repo.Name), pollConditions(s.config.Repo.Name, environments, s.refusedForeign(), s.refusal, m.command("status")))
	if names, known := m.sources.all(); known {
		m.Gone(names, m.sources.notUsed())
		m.routes.Do(func() { m.compareRoutes(names) })
	}
	return environments, err
}

// compareRoutes warns of routes that go by environments that there are not.
func (m *messages) compareRoutes(names []string) {
	for _, p := range m.sources.common().config.Notify.Unmatched(names) {
		m.sources.log().Warn("a route of messages is for an environment that there is not", "at", p.Origin.String(), "reason", p.Message, "next", p.Hint)
	}
}

// all names the environments of all repositories; known is false until each was read.
func (all sources) all() (names []string, known bool) {
	for _, s := range all {
		s.mu.Lock()
		read := s.newest != ""
		s.mu.Unlock()
		if !read {
			return nil, false
		}
	}
	for _, e := range all.environments() {
		names = append(names, e.Name)
	}
	return names, true
}

// notUsed says why environments that a repository names are run by none.
func (all sources) notUsed() map[string]string {
	out := map[string]string{}
	for _, s := range all {
		for _, e := range s.refusedForeign() {
			out[e.Name] = e.Reason
		}
	}
	return out
}

// pollConditions are a commit of which nothing is used, or else the environments that do not
// use it, and those that are another repository's.
func pollConditions(repository string, environments []daemon.Environment, foreign []daemon.RefusedEnvironment, refusal error, next string) (out []notify.Lasting) {
	of := func(text string) string {
		if repository == "" {
			return text
		}
		return "repository " + repository + ": " + text
	}
	if refusal != nil {
		key := "commit"
		if refused := (*daemon.RefusedCommitError)(nil); errors.As(refusal, &refused) {
			key += " " + refused.Commit // each is refused for itself
		}
		out = append(out, notify.Lasting{Key: key, Condition: state.Condition{Event: string(report.EventCommitRefused), Text: of(refusal.Error()), Command: next}})
	}
	for _, e := range environments {
		if e.Behind == "" {
			continue
		}
		told := refusal != nil && strings.HasPrefix(e.Behind, refusal.Error()) // by the refusal
		out = append(out, notify.Lasting{Key: e.Name, GoesOn: told, Condition: state.Condition{Event: string(report.EventEnvironmentInvalid), Environment: e.Name, DevID: e.DevID,
			Text: of(e.Name + ": " + e.Behind), Command: next}})
	}
	for _, e := range foreign { // it is about the repository, and not the other's environment
		out = append(out, notify.Lasting{Key: "foreign " + e.Name, Condition: state.Condition{Event: string(report.EventEnvironmentInvalid), About: e.Name,
			Text: of(e.Name + " is not used: " + e.Reason), Command: next}})
	}
	return out
}

// unready are what the daemon is not ready for.
func (m *messages) unready(all []daemon.Unready) (out []notify.Lasting) {
	for _, u := range all {
		if u.OfCommit() {
			continue // it is told as the commit that is refused
		}
		out = append(out, notify.Lasting{Key: u.String(), Condition: state.Condition{Event: string(report.EventUnready), Environment: u.Environment, DevID: m.sources.of(u.Environment).devIDOf(u.Environment), About: strings.TrimSpace(u.What + " " + u.Repository), Since: u.Since,
			Text: u.String() + " fails: " + u.Cause, Command: m.command("status")}})
	}
	return out
}

// tokens are the ends of admin tokens that are near, as Terra last said.
func (m *messages) tokens() (out []notify.Lasting) {
	s := m.sources.common()
	clients := newClients(s.config.Whole(), terra.Options{Transport: s.transport, Limits: s.limits, Version: s.proc.Version, ReadOnly: true})
	for _, name := range slices.Sorted(maps.Keys(s.config.Accounts)) {
		account := s.config.Accounts[name]
		client, err := clients(name, account.DevIDs[0])
		if err != nil {
			continue // runs say so
		}
		known, asked, err := s.store.Token(client.Address(), client.TokenFingerprint())
		if err != nil || !asked {
			continue
		}
		review := terra.ReviewToken(terra.Me{Scopes: strings.Fields(known.Scopes), ExpiresAt: known.ExpiresAt, GrantAnchorAt: known.GrantAnchorAt}, nil, s.config.Apply, s.proc.Now())
		for i, end := range review.Endings {
			out = append(out, notify.Lasting{Key: fmt.Sprintf("%s %d", name, i), Condition: state.Condition{Event: string(report.EventTokenExpiring), About: "account " + name,
				Text: fmt.Sprintf("token of account %s: %s; %s", name, end.What, end.Next), Command: m.command("token", "status")}})
		}
	}
	return out
}

// command is what a person types, wherever the message is read.
func (m *messages) command(words ...string) string {
	return m.sources.common().proc.asked.elsewhere().command(words).String()
}

// receivers are how those of the messages are doing, for the status.
func (m *messages) receivers() []daemon.Receiver {
	out := []daemon.Receiver{}
	if m == nil || m.Messenger == nil {
		return out
	}
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	for _, s := range m.Stats() {
		out = append(out, daemon.Receiver{Name: s.Name, Form: string(s.Form), Delivered: s.Delivered, Failed: s.Failed, Waiting: s.Waiting, Dropped: s.Dropped, DropCause: s.DropCause,
			FailingSince: at(s.FailingSince), LastSuccess: at(s.LastSuccess), Error: s.Error})
	}
	return out
}

// logReceivers says to whom messages go, without an address.
func logReceivers(log *slog.Logger, c *config.Notify) {
	if c == nil {
		return
	}
	var names []string
	for _, r := range c.Receivers {
		names = append(names, r.Name+" ("+r.Form+")")
	}
	log.Info("messages are sent", "receivers", strings.Join(names, ", "))
}
