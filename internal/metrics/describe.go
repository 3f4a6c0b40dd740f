package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// describe adds every series but the histograms.
func (m *Metrics) describe(out *exposition, now Snapshot) {
	shown := admit(now)
	m.daemon(out, now, shown)
	git(out, now)
	tokens(out, now)
	for _, e := range shown.environments {
		status(out, now, e)
		found(out, now, e)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.counts, func(name string, _ *counts) bool { return !shown.all[name] })
	m.counted(out, shown)
}

// shownEnvironment is one that has series.
type shownEnvironment struct {
	daemon.EnvironmentStatus
	Environment
	label       string
	connections map[string]string // name -> label
	latest      report.Environment
	planned     bool // latest says how everything is
}

// shown is what has series of its own.
type shown struct {
	environments []shownEnvironment // by name
	all          map[string]bool    // also those that are left out
	repositories []string           // "" where there is one alone; the runner's configuration bounds them
	// How many are left out.
	droppedEnvironments, droppedConnections int
}

// admit chooses what has series: see [MaxEnvironments]. Names that look the same once they
// are labels count as one too many.
func admit(now Snapshot) shown {
	out := shown{all: map[string]bool{}}
	for _, r := range now.Status.Each() {
		out.repositories = append(out.repositories, r.Name)
	}
	applied := func(e daemon.EnvironmentStatus) int { // 0: before
		return int(1 - is(e.AppliedRevision != ""))
	}
	candidates := slices.Clone(now.Status.Environments)
	slices.SortFunc(candidates, func(a, b daemon.EnvironmentStatus) int {
		return cmp.Or(cmp.Compare(applied(a), applied(b)), cmp.Compare(a.Name, b.Name))
	})
	taken := map[string]bool{}
	for _, e := range candidates {
		out.all[e.Name] = true
		s := shownEnvironment{EnvironmentStatus: e, Environment: now.Environments[e.Name], label: label(e.Name)}
		if len(out.environments) == MaxEnvironments || taken[s.label] {
			out.droppedEnvironments++
			continue
		}
		taken[s.label] = true
		if list := s.Report.Environments; len(list) == 1 { // a run is of one
			s.latest = list[0]
			s.planned = s.latest.PlanHash != ""
		}
		names := namesOf(s.latest)
		s.connections = labelled(names)
		out.droppedConnections += len(names) - len(s.connections)
		out.environments = append(out.environments, s)
	}
	slices.SortStableFunc(out.environments, func(a, b shownEnvironment) int { return cmp.Compare(len(a.connections), len(b.connections)) })
	room := MaxConnections
	for i := range out.environments {
		s := &out.environments[i]
		if len(s.connections) > room {
			for _, name := range slices.Sorted(maps.Keys(s.connections))[room:] {
				delete(s.connections, name)
				out.droppedConnections++
			}
		}
		room -= len(s.connections)
	}
	slices.SortFunc(out.environments, func(a, b shownEnvironment) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// namesOf are the connections of which there is something to say, sorted.
func namesOf(e report.Environment) []string {
	out := make([]string, 0, len(e.Keys)+len(e.Changes)+len(e.Events))
	for _, k := range e.Keys {
		out = append(out, k.Connection)
	}
	for _, c := range e.Changes {
		out = append(out, c.Connection)
	}
	for _, event := range e.Events {
		out = append(out, event.Connection)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// labelled gives the labels of names, without those that look like one before them.
func labelled(names []string) map[string]string {
	out, taken := make(map[string]string, len(names)), make(map[string]bool, len(names))
	for _, name := range names {
		if text := label(name); !taken[text] {
			taken[text], out[name] = true, text
		}
	}
	return out
}

func (m *Metrics) daemon(out *exposition, now Snapshot, shown shown) {
	s := now.Status
	out.add("build_info", 1, m.o.Version, m.version)
	out.add("apply_enabled", is(s.Mode == report.Apply))
	unread := slices.ContainsFunc(s.Each(), func(r daemon.RepositoryStatus) bool { return r.Poll.LastSuccess == nil })
	out.add("ready", is(len(s.Unready) == 0 && !unread && now.StateUsable))
	out.add("stuck_runs", float64(len(s.Stuck)))
	out.add("state_usable", is(now.StateUsable))
	out.add("config_last_reload_successful", is(s.Config.RefusedSince == nil))
	out.add("environments", float64(len(s.Environments)))
	out.add("dropped_labels", float64(shown.droppedEnvironments), environment)
	out.add("dropped_labels", float64(shown.droppedConnections), connection)
	taken := map[string]bool{}
	for _, p := range s.Paused {
		target := label(cmp.Or(p.Target, "*"))
		if taken[target] || len(taken) == MaxEnvironments {
			continue
		}
		taken[target] = true
		out.add("pause_seconds", now.Now.Sub(p.Since).Seconds(), target)
		out.add("pause_remaining_seconds", p.Until.Sub(now.Now).Seconds(), target)
	}
	told := map[string]bool{}
	for _, r := range s.Receivers {
		name := label(r.Name)
		if told[name] || len(told) == maxReceivers {
			continue
		}
		told[name] = true
		out.add("notifications_waiting", float64(r.Waiting), name)
		out.add("notifications_dropped_total", float64(r.Dropped), name)
	}
}

func git(out *exposition, now Snapshot) {
	for _, r := range now.Status.Each() {
		since(out, "git_last_fetch_timestamp_seconds", r.Poll.At, label(r.Name))
		since(out, "git_last_success_timestamp_seconds", r.Poll.LastSuccess, label(r.Name))
		out.add("git_consecutive_failures", float64(r.Poll.Failures), label(r.Name))
		out.add("environments_not_used", float64(len(r.RefusedEnvironments)), label(r.Name))
	}
}

// since adds a time, where it is known.
func since(out *exposition, name string, at *time.Time, labels ...string) {
	if at != nil && !at.IsZero() {
		out.add(name, float64(at.UnixMilli())/1000, labels...)
	}
}

// tokens says when the token of each account ends, as the latest run that knows has it.
func tokens(out *exposition, now Snapshot) {
	latest, at := map[string]report.Environment{}, map[string]time.Time{}
	for _, e := range now.Environments {
		for _, r := range e.Report.Environments {
			known := !r.TokenEnds.IsZero() || !r.TokenRenewable.IsZero()
			if name := label(r.Account); known && !e.Report.StartedAt.Before(at[name]) {
				latest[name], at[name] = r, e.Report.StartedAt
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		if ends := latest[name].TokenEnds; !ends.IsZero() {
			out.add("token_until_expiry_seconds", ends.Sub(now.Now).Seconds(), name)
		}
		if ends := latest[name].TokenRenewable; !ends.IsZero() {
			out.add("token_until_renewal_ends_seconds", ends.Sub(now.Now).Seconds(), name)
		}
	}
}

// status adds what the daemon knows of an environment.
func status(out *exposition, now Snapshot, e shownEnvironment) {
	out.add("environment_info", 1, e.label, label(e.Account), label(e.Repository))
	lag := 0.0
	if !e.Lagging.IsZero() {
		lag = now.Now.Sub(e.Lagging).Seconds()
	}
	out.add("environment_lag_seconds", lag, e.label)
	out.add("environment_behind", is(e.BehindReason != ""), e.label)
	out.add("environment_rewound", is(e.RewoundFrom != ""), e.label)
	out.add("run_consecutive_failures", float64(e.Failures), e.label)
	since(out, "run_last_success_timestamp_seconds", e.LastSuccess, e.label)
	since(out, "run_next_timestamp_seconds", e.NextRun, e.label)
	if last := e.LastRun; last != nil {
		out.add("environment_refused", is(last.Refused), e.label)
		out.add("run_last_duration_seconds", float64(last.DurationMS)/1000, e.label)
		out.add("run_last_exit_code", float64(last.ExitCode), e.label)
		since(out, "run_last_attempt_timestamp_seconds", &last.StartedAt, e.label)
	}
}

// found adds what the last run found, where it could tell.
func found(out *exposition, now Snapshot, e shownEnvironment) {
	if !e.planned {
		return
	}
	latest := e.latest
	changing := map[string]bool{}
	type row struct {
		action, class, cause, gate, outcome string
	}
	rows := map[row]float64{}
	for _, c := range latest.Changes {
		changing[c.Connection] = changing[c.Connection] || c.Outcome != report.Applied
		rows[row{string(c.Action), string(c.Class), string(c.Cause), string(c.Gate), cmp.Or(string(c.Outcome), "planned")}]++
	}
	differ := len(slices.DeleteFunc(slices.Collect(maps.Values(changing)), func(left bool) bool { return !left }))
	out.add("connections", float64(latest.Summary.Unchanged+len(changing)-differ), e.label, "in-sync")
	out.add("connections", float64(differ), e.label, "differing")
	out.add("connections", float64(len(latest.Unmanaged)), e.label, "unmanaged")
	out.add("fields_not_compared", float64(len(latest.NotCompared)), e.label)
	for r, n := range rows {
		out.add("changes", n, e.label, r.action, r.class, r.cause, r.gate, r.outcome)
	}
	gates(out, now, e)
	drift(out, now, e)
	type event struct {
		connection string
		kind       report.EventKind
	}
	said := map[event]bool{}
	for _, found := range latest.Events {
		if name, ok := e.connections[found.Connection]; ok && !said[event{name, found.Kind}] {
			said[event{name, found.Kind}] = true
			out.add("event", 1, e.label, name, string(found.Kind))
		}
	}
	for _, k := range latest.Keys {
		if name, ok := e.connections[k.Connection]; ok {
			keysOf(out, now.Now, k, e.label, name)
		}
	}
}

// gates adds what is held, and for how long.
func gates(out *exposition, now Snapshot, e shownEnvironment) {
	type row struct{ connection, gate, guard string }
	count, oldest := map[row]float64{}, map[row]time.Time{}
	for _, c := range e.latest.Changes {
		name, ok := e.connections[c.Connection]
		if !ok || c.Gate == plan.Ready || c.Outcome == report.Applied {
			continue
		}
		r := row{name, string(c.Gate), c.Guard}
		count[r]++
		if at := oldest[r]; !c.GatedSince.IsZero() && (at.IsZero() || c.GatedSince.Before(at)) {
			oldest[r] = c.GatedSince
		}
	}
	for r, n := range count {
		out.add("gated_changes", n, e.label, r.connection, r.gate, r.guard)
		if at := oldest[r]; !at.IsZero() {
			out.add("gated_seconds", now.Now.Sub(at).Seconds(), e.label, r.connection, r.gate, r.guard)
		}
	}
}

// drift adds for how long connections have drifted.
func drift(out *exposition, now Snapshot, e shownEnvironment) {
	oldest := map[string]time.Time{}
	for _, c := range e.latest.Changes {
		name, ok := e.connections[c.Connection]
		if at := oldest[name]; ok && c.Cause == plan.Drift && c.Outcome != report.Applied && !c.DriftSince.IsZero() && (at.IsZero() || c.DriftSince.Before(at)) {
			oldest[name] = c.DriftSince
		}
	}
	for name, at := range oldest {
		out.add("drift_seconds", now.Now.Sub(at).Seconds(), e.label, name)
	}
}

// keysOf adds how the keys of a connection are.
func keysOf(out *exposition, now time.Time, k keys.Status, environment, connection string) {
	for _, state := range k.States() {
		out.add("key_state", 1, environment, connection, string(state))
	}
	if k.AgeDays != nil && !k.Issued.IsZero() {
		out.add("key_age_seconds", now.Sub(k.Issued).Seconds(), environment, connection)
		if k.MaxAgeDays > 0 {
			out.add("key_until_overdue_seconds", k.Issued.AddDate(0, 0, k.MaxAgeDays).Sub(now).Seconds(), environment, connection)
		}
	}
	if k.Next > 0 && !k.NextAt.IsZero() {
		out.add("key_until_due_seconds", k.NextAt.Sub(now).Seconds(), environment, connection)
	}
	if n := len(k.Rejected); n > 0 {
		out.add("key_refusals", float64(n), environment, connection, "true")
	}
	if n := len(k.Unconfirmed); n > 0 {
		out.add("key_refusals", float64(n), environment, connection, "false")
	}
	if k.SoakEndsAt.IsZero() {
		return
	}
	out.add("key_soak_remaining_seconds", k.SoakEndsAt.Sub(now).Seconds(), environment, connection)
	if k.UsersBefore != nil && k.UsersBefore.Exact {
		out.add("key_soak_users", float64(k.UsersBefore.Count), environment, connection, "start")
	}
	if k.UsersNow != nil && k.UsersNow.Exact {
		out.add("key_soak_users", float64(k.UsersNow.Count), environment, connection, "now")
	}
}

// counted adds what was told of. The caller holds mu.
func (m *Metrics) counted(out *exposition, shown shown) {
	for _, name := range shown.repositories {
		out.add("git_fetches_total", m.fetched[fetch{name, true}], "success", label(name))
		out.add("git_fetches_total", m.fetched[fetch{name, false}], "failure", label(name))
	}
	for _, e := range shown.environments {
		c := m.counts[e.Name]
		if c == nil {
			continue
		}
		for code, n := range c.runs {
			out.add("runs_total", n, e.label, strconv.Itoa(code))
		}
		for s, n := range c.changes {
			out.add("changes_total", n, e.label, string(s.action), string(s.cause), string(s.outcome))
		}
		for kind, n := range c.events {
			out.add("events_total", n, e.label, string(kind))
		}
	}
	for r, n := range m.requests {
		out.add("api_requests_total", n, r.account, r.operation, r.code)
	}
	for account, seconds := range m.waited {
		out.add("api_wait_seconds_total", seconds, account)
	}
	for account, n := range m.remaining {
		out.add("api_rate_limit_remaining", float64(n), account)
	}
	for receiver, d := range m.receivers {
		out.add("notifications_total", d.delivered, receiver, "delivered")
		out.add("notifications_total", d.failed, receiver, "failed")
		out.add("notification_consecutive_failures", d.inARow, receiver)
		since(out, "notification_last_success_timestamp_seconds", &d.last, receiver)
	}
}
