package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Store is what messages remember; state.Store is one.
type Store interface {
	HeardUntil() (until state.HeardUntil, known bool, err error)
	LinesAfter(sequence int64) (lines []state.Entry, until int64, err error)
	Conditions() (map[string]map[string]state.Condition, error)
	SaveHeard(h state.Heard) (dropped map[string]int, err error)
	Waiting(receiver string) ([]state.Message, state.Receiver, error)
	SaveReceiver(receiver string, r state.Receiver, told int, done ...int64) error
	ForgetReceivers(but []string) (waited map[string]int, err error)
}

// Route says which messages go to whom. An empty list chooses all.
type Route struct {
	Events       []string
	Severities   []string
	Environments []string // names, * and ? stay between slashes; a message about none is for all
	Owners       []string // as the files say
	Receivers    []string
	Remind       time.Duration // of what lasts; 0: never
}

func (r Route) chooses(m Message) bool {
	chosen := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	return chosen(r.Events, string(m.Event)) && chosen(r.Severities, string(m.Severity)) && chosen(r.Owners, m.Owner) &&
		(len(r.Environments) == 0 || m.Environment == "" || slices.ContainsFunc(r.Environments, func(pattern string) bool {
			matched, err := path.Match(pattern, m.Environment)
			return err == nil && matched
		}))
}

// receiversOf are whom the routes choose for a message, sorted.
func receiversOf(routes []Route, m Message) []string {
	names := []string{}
	for _, r := range routes {
		if r.chooses(m) {
			names = append(names, r.Receivers...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// MessengerOptions are what a Messenger works with. All but Running and Tried are required.
type MessengerOptions struct {
	Store     Store
	Routes    []Route
	Receivers []Receiver
	Owner     func(environment, connection string) string // whom something concerns, "" for nobody
	Now       func() time.Time
	Log       *slog.Logger
	// Running tells whether a run of an environment is under way: what it writes is told when
	// it ends, together.
	Running func(environment string) bool
	// Command writes down what a person types, wherever the message is read.
	Command func(words ...string) string
	// Tried is told of each try to give a message to a receiver.
	Tried func(receiver string, taken bool, at time.Time)
}

// Messenger tells receivers what happens. What it is told of and what follows from it is
// saved in one step, before it returns; what is then sent, and when, is no business of who
// told it. A Messenger may be used by many goroutines.
type Messenger struct {
	o          MessengerOptions
	deliveries []*delivery
	sending    sync.WaitGroup

	mu      sync.Mutex
	until   state.HeardUntil
	lasting map[string]map[string]state.Condition
}

// NewMessenger makes a Messenger. With a store that was never told of anything it begins at
// the end of the history: nobody gets the messages of a year. What waits for receivers that
// there are no more is dropped, and logged.
func NewMessenger(o MessengerOptions) (*Messenger, error) {
	if o.Running == nil {
		o.Running = func(string) bool { return false }
	}
	if o.Command == nil {
		o.Command = func(words ...string) string { return plan.Command(words).String() }
	}
	m := &Messenger{o: o}
	var names []string
	for _, r := range o.Receivers {
		names = append(names, r.Name)
	}
	waited, err := o.Store.ForgetReceivers(names)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(waited)) {
		o.Log.Warn("a receiver of messages is gone from the configuration; what waited for it is dropped", "receiver", name, "messages", waited[name])
	}
	until, known, err := o.Store.HeardUntil()
	if err == nil && !known {
		if _, until.Sequence, err = o.Store.LinesAfter(0); err == nil {
			_, err = o.Store.SaveHeard(state.Heard{Until: until})
		}
	}
	if err == nil {
		m.until = until
		m.lasting, err = o.Store.Conditions()
	}
	if err != nil {
		return nil, err
	}
	for _, r := range o.Receivers {
		p, err := newDelivery(r, o)
		if err != nil {
			return nil, err
		}
		m.deliveries = append(m.deliveries, p)
	}
	return m, nil
}

const (
	mostWaiting = 1000             // messages for one receiver
	mostBytes   = 4 << 20          // of them together
	untilTold   = time.Minute      // how long a line waits for the end of its run
	lookEvery   = 10 * time.Second // at the history, at ends and at reminders
)

// Run sends messages until ctx ends. Now and then it lets others look at what no run tells
// of, and looks itself.
func (m *Messenger) Run(ctx context.Context, look func()) {
	for _, p := range m.deliveries {
		m.sending.Go(func() { p.run(ctx) })
	}
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	for {
		look()
		m.Look()
		select {
		case <-ctx.Done():
			m.sending.Wait()
			return
		case <-looks.C:
		}
	}
}

// Look tells what stands in the history and was not told, what has ended by time alone, and
// what is to be reminded of.
func (m *Messenger) Look() { m.take(func(*telling) {}) }

// Hear takes the report of a run that has ended.
func (m *Messenger) Hear(r report.Report) {
	var ended []string
	for _, e := range r.Environments {
		ended = append(ended, e.Name)
	}
	m.takeOf(ended, func(s *telling) {
		for _, e := range r.Environments {
			if fault, known := faultIn(e, s.command("status")); known {
				s.replace(faultSource+e.Name, fault, none, unknown)
			}
			found, unsure, known := lastingIn(e, s.of(runSource+e.Name))
			if !known {
				continue
			}
			s.replace(runSource+e.Name, found, func(c state.Condition) bool { return c.Connection != "" && unsure[c.Connection] },
				func(c state.Condition) piece { return endOf(c, howEnded(e, c)) })
		}
	})
}

// Set takes all that lasts by one source: what was not there has begun, what is not there
// any more has ended.
func (m *Messenger) Set(source string, lasting []Lasting) {
	m.take(func(s *telling) { s.replace(source, lasting, none, unknown) })
}

// none and unknown are of conditions of which each is known to last or not, and of none how
// it ended.
func none(state.Condition) bool       { return false }
func unknown(c state.Condition) piece { return endOf(c, "") }

// Gone drops what runs have told of environments that there are no more. Nothing says that
// it has ended: nobody looks any more. notUsed says of those that a repository names all the
// same why nothing of them is run.
func (m *Messenger) Gone(environments []string, notUsed map[string]string) {
	m.take(func(s *telling) {
		for source := range s.lasting {
			if name, isRun := environmentOf(source); isRun && !slices.Contains(environments, name) {
				why := "environment " + name + " is no longer in the repository, so nobody looks any more whether this lasts"
				if reason := notUsed[name]; reason != "" {
					why = "environment " + name + " is not used (" + reason + "), so nobody looks any more whether this lasts"
				}
				s.replace(source, nil, none, func(c state.Condition) piece { return goneOf(c, why) })
			}
		}
	})
}

// take makes one step: what was learned beside the history, and what follows.
func (m *Messenger) take(learn func(*telling)) { m.takeOf(nil, learn) }

// takeOf is take where the runs of some environments have just ended.
func (m *Messenger) takeOf(ended []string, learn func(*telling)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &telling{now: m.o.Now().UTC(), owner: m.o.Owner, command: m.o.Command, routes: m.o.Routes, lasting: m.lasting, changed: map[string]map[string]state.Condition{}}
	lines, until, err := m.due(s.now, ended)
	if err != nil {
		m.o.Log.Error("messages: the history cannot be read; what it has is told later", "error", err.Error())
		lines, until = nil, m.until
	}
	s.learn(lines)
	learn(s)
	s.end()
	s.remind()
	if len(lines) == 0 && until.Sequence == m.until.Sequence && len(s.changed) == 0 && len(s.pieces) == 0 {
		return
	}
	out := m.addressed(together(s.pieces, s.now))
	heard := state.Heard{Until: until, Conditions: s.changed, Messages: out, Most: mostWaiting, MostBytes: mostBytes}
	dropped, err := m.o.Store.SaveHeard(heard)
	if err != nil {
		m.o.Log.Error("messages: what happened cannot be saved; it is told later", "error", err.Error())
		return
	}
	m.until = until
	next := maps.Clone(m.lasting)
	for source, conditions := range s.changed {
		if next[source] = conditions; len(conditions) == 0 {
			delete(next, source)
		}
	}
	m.lasting = next
	for _, p := range m.deliveries {
		if n := len(out[p.Name]); n > 0 {
			p.more(n, dropped[p.Name])
		}
	}
}

// due gives the lines of the history to tell now, and how far it is told then. What a run
// writes waits for its end.
func (m *Messenger) due(now time.Time, ended []string) (lines []state.Entry, until state.HeardUntil, err error) {
	all, last, err := m.o.Store.LinesAfter(m.until.Sequence)
	if err != nil {
		return nil, m.until, err
	}
	until.Sequence = last
	waits := false
	for _, e := range all {
		told := slices.Contains(m.until.Ahead, e.Sequence)
		ofRun := e.Event == state.EventWrite || e.Event == state.EventDriftResolved
		if !told && ofRun && now.Sub(e.At) < untilTold && !slices.Contains(ended, e.Environment) && m.o.Running(e.Environment) {
			if !waits {
				waits, until.Sequence = true, e.Sequence-1
			}
			continue
		}
		if waits {
			until.Ahead = append(until.Ahead, e.Sequence)
		}
		if !told {
			lines = append(lines, e)
		}
	}
	return lines, until, nil
}

// addressed gives each receiver what the routes have for it, each message once.
func (m *Messenger) addressed(messages []addressed) map[string][]state.Message {
	out := map[string][]state.Message{}
	for _, message := range messages {
		names := []string{message.only}
		if message.only == "" {
			names = receiversOf(m.o.Routes, message.Message)
		}
		if message.among != nil {
			names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(message.among, name) })
		}
		body, err := json.Marshal(message.Message)
		if err != nil {
			m.o.Log.Error("messages: a message cannot be written down", "event", string(message.Event), "error", err.Error())
			continue
		}
		for _, name := range names {
			out[name] = append(out[name], state.Message{ID: message.ID, Rank: slices.Index(report.Severities(), message.Severity), At: message.At, Body: body})
		}
	}
	return out
}

// telling is one step of it: what is learned in it, and not saved yet.
type telling struct {
	now     time.Time
	owner   func(environment, connection string) string
	command func(words ...string) string
	routes  []Route
	lasting map[string]map[string]state.Condition // as it was
	changed map[string]map[string]state.Condition // by source: as it is
	pieces  []piece
}

func (s *telling) tell(p piece) {
	if p.owner == "" {
		p.owner = s.owner(p.environment, p.Connection)
	}
	s.pieces = append(s.pieces, p)
}

// of gives the conditions of a source as they are in this step.
func (s *telling) of(source string) map[string]state.Condition {
	if changed, ok := s.changed[source]; ok {
		return changed
	}
	return s.lasting[source]
}

// put sets a condition, or drops it where it is nil.
func (s *telling) put(source, key string, c *state.Condition) {
	next, ok := s.changed[source]
	if !ok {
		next = maps.Clone(s.lasting[source])
		if next == nil {
			next = map[string]state.Condition{}
		}
		s.changed[source] = next
	}
	if c == nil {
		delete(next, key)
		return
	}
	next[key] = *c
}

// replace puts what lasts in the place of what did. Of what keep picks nobody knows whether
// it has ended; ended is what is told of one that has.
func (s *telling) replace(source string, found []Lasting, keep func(state.Condition) bool, ended func(state.Condition) piece) {
	before := maps.Clone(s.of(source))
	now := map[string]bool{}
	for _, f := range found {
		if now[f.Key] {
			continue
		}
		now[f.Key] = true
		was, known := before[f.Key]
		if known {
			if was.Text != f.Text || was.Command != f.Command || was.Change != f.Change || was.About != f.About {
				was.Text, was.Command, was.Change, was.About = f.Text, f.Command, f.Change, f.About
				s.put(source, f.Key, &was)
			}
			continue
		}
		if f.GoesOn {
			continue
		}
		c := f.Condition
		if c.Since.IsZero() {
			c.Since = s.now
		}
		s.begin(source, f.Key, c)
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		was := before[key]
		if now[key] || keep(was) {
			continue
		}
		s.put(source, key, nil)
		if !slices.ContainsFunc(found, func(f Lasting) bool { return same(f.Condition, was) || replaces(f.Condition, was) }) && !s.staysInvalid(was) {
			s.tell(ended(was))
		}
	}
}

// staysInvalid tells whether an environment does not use its newest commit for another reason,
// of which a run or a poll told, than the one that has ended.
func (s *telling) staysInvalid(was state.Condition) bool {
	if was.Event != string(report.EventEnvironmentInvalid) || was.Environment == "" {
		return false
	}
	for source := range s.lasting {
		for _, c := range s.of(source) {
			if c.Event == was.Event && c.Environment == was.Environment {
				return true
			}
		}
	}
	return false
}

// begin puts a condition that begins, and tells whoever is to know of it.
func (s *telling) begin(source, key string, c state.Condition) {
	c.Since, c.Told, c.Owner = c.Since.UTC(), s.now, cmp.Or(c.Owner, s.owner(c.Environment, c.Connection))
	c.Receivers = receiversOf(s.routes, messageOf(c))
	s.put(source, key, &c)
	s.tell(pieceOf(c, Began))
}

// end ends what ends by time alone.
func (s *telling) end() {
	for source := range s.lasting {
		for key, c := range s.of(source) {
			if !c.Until.IsZero() && !s.now.Before(c.Until) {
				s.put(source, key, nil)
				s.tell(endOf(c, "its time is over"))
			}
		}
	}
}

// remind tells each receiver again of what lasts, after the shortest time that a route says.
func (s *telling) remind() {
	for _, source := range slices.Sorted(maps.Keys(s.lasting)) {
		conditions := s.of(source)
		for _, key := range slices.Sorted(maps.Keys(conditions)) {
			c := conditions[key]
			due := s.reminded(c)
			if len(due) == 0 {
				continue
			}
			c.Reminded = maps.Clone(c.Reminded)
			if c.Reminded == nil {
				c.Reminded = map[string]time.Time{}
			}
			for _, receiver := range due {
				c.Reminded[receiver] = s.now
				p := pieceOf(c, Reminder)
				p.only = receiver
				s.tell(p)
			}
			s.put(source, key, &c)
		}
	}
}

// reminded are the receivers that are to be reminded of a condition now, sorted. Of what is
// only good to know nobody is.
func (s *telling) reminded(c state.Condition) (due []string) {
	m := messageOf(c)
	if m.Severity == report.Info {
		return nil
	}
	for _, r := range s.routes {
		if r.Remind <= 0 || !r.chooses(m) {
			continue
		}
		for _, receiver := range r.Receivers {
			last := c.Told
			if at := c.Reminded[receiver]; at.After(last) {
				last = at
			}
			if s.now.Sub(last) >= r.Remind && !slices.Contains(due, receiver) {
				due = append(due, receiver)
			}
		}
	}
	slices.Sort(due)
	return due
}

// What runs tell of an environment is from these sources, each with its name.
const (
	runSource   = "run "   // of a plan
	faultSource = "fault " // that there is none, for what the commit asks for
)

// environmentOf is the environment of which a source of runs tells.
func environmentOf(source string) (environment string, isRun bool) {
	if environment, isRun = strings.CutPrefix(source, runSource); isRun {
		return environment, true
	}
	return strings.CutPrefix(source, faultSource)
}
