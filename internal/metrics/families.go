package metrics

import (
	"slices"
	"strings"
)

// Prefix begins the name of each metric of ours; others are those of the Go runtime, of the
// process and of the handler.
const Prefix = "terra_reconcile_"

// Kind is the type of a metric.
type Kind string

// The kinds.
const (
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Family is one metric: all that docs/operations.md says of it.
type Family struct {
	Name   string // without Prefix
	Kind   Kind
	Labels []string // in the order of their values
	Help   string   // one sentence
}

// label names that several families share.
const (
	environment = "environment"
	connection  = "connection"
	account     = "account"
	receiver    = "receiver"
	outcome     = "outcome"
	repo        = "repo" // left out where there is one alone
)

// Families lists the metrics of ours, by subject.
func Families() []Family {
	ofRun, ofConnection := []string{environment}, []string{environment, connection}
	ofGate := []string{environment, connection, "gate", "guard"}
	return []Family{
		{"build_info", Gauge, []string{"version", "go_version"}, "1; which program this is."},
		{"apply_enabled", Gauge, nil, "1 where the daemon applies changes, 0 where it only compares (apply: false)."},
		{"ready", Gauge, nil, "1 while /readyz answers 200, else 0."},
		{"stuck_runs", Gauge, nil, "Polls and runs that should have ended and have not; above 0 /healthz answers 503."},
		{"state_usable", Gauge, nil, "1 while the state can be written, 0 where /healthz answers 503 for it."},
		{"config_last_reload_successful", Gauge, nil, "1 while daemon.yaml is what the daemon runs with, 0 while a changed one is not used and the next start would fail."},
		{"environments", Gauge, nil, "Environments that the daemon handles."},
		{"pause_seconds", Gauge, []string{"target"}, "For how long a pause has been on; the target * is everything."},
		{"pause_remaining_seconds", Gauge, []string{"target"}, "In how long a pause ends by itself."},
		{"dropped_labels", Gauge, []string{"kind"}, "Environments and connections that are left out of the metrics, because there are too many."},

		{"git_fetches_total", Counter, []string{outcome, repo}, "Looks at the repository, by outcome: success, failure."},
		{"git_fetch_duration_seconds", Histogram, nil, "How long a look at the repository took."},
		{"git_last_fetch_timestamp_seconds", Gauge, []string{repo}, "When the repository was looked at last, with any outcome."},
		{"git_last_success_timestamp_seconds", Gauge, []string{repo}, "When the repository was read last."},
		{"git_consecutive_failures", Gauge, []string{repo}, "Looks in a row at the repository that failed; a commit that is refused is no failure."},

		{"environments_not_used", Gauge, []string{repo}, "Environments of the newest commit of a repository that are not used, because another repository has them."},
		{"environment_info", Gauge, []string{environment, account, repo}, "1; the account and the repository of an environment."},
		{"environment_lag_seconds", Gauge, ofRun, "For how long there has been a newer commit than that of the environment's last run; 0 where there is none."},
		{"environment_behind", Gauge, ofRun, "1 where the environment stays on an older commit, because the newest is refused, else 0."},
		{"environment_refused", Gauge, ofRun, "1 where the commit names an account or a dev_id that the runner does not allow, or a dev_id that Terra does not have, else 0."},
		{"environment_rewound", Gauge, ofRun, "1 where the branch stands on a commit that was followed before a newer one, else 0."},

		{"runs_total", Counter, []string{environment, "exit_code"}, "Runs, by exit code."},
		{"run_duration_seconds", Histogram, nil, "How long a run of one environment took."},
		{"run_last_duration_seconds", Gauge, ofRun, "How long the last run took."},
		{"run_last_exit_code", Gauge, ofRun, "Exit code of the last run."},
		{"run_last_attempt_timestamp_seconds", Gauge, ofRun, "When the last run began, with any outcome."},
		{"run_last_success_timestamp_seconds", Gauge, ofRun, "When a run ended last for which git and Terra could be used, since the daemon started."},
		{"run_consecutive_failures", Gauge, ofRun, "Runs in a row that failed."},
		{"run_next_timestamp_seconds", Gauge, ofRun, "When the next run is due, by the schedule or because something changes then."},

		{"connections", Gauge, []string{environment, "state"}, "Connections as the last run left them: in-sync, differing, unmanaged."},
		{"fields_not_compared", Gauge, ofRun, "Fields that the last run could not compare."},
		{"changes", Gauge, []string{environment, "action", "class", "cause", "gate", outcome}, "Changes of the last run, by what became of them; the outcome of a dry run is planned."},
		{"changes_total", Counter, []string{environment, "action", "cause", outcome}, "Changes that were sent, by outcome: applied, failed, unknown."},
		{"gated_changes", Gauge, ofGate, "Changes of a connection that the last run held, by gate and guard."},
		{"gated_seconds", Gauge, ofGate, "For how long the oldest of them has been held; absent where no state remembers it."},
		{"drift_seconds", Gauge, ofConnection, "For how long a connection has differed because somebody changed it elsewhere."},
		{"event", Gauge, []string{environment, connection, "kind"}, "1; an event of the last run, as in its report."},
		{"events_total", Counter, []string{environment, "kind"}, "Events that began."},

		{"key_age_seconds", Gauge, ofConnection, "Age of the live key, by what the file says of it."},
		{"key_until_overdue_seconds", Gauge, ofConnection, "In how long the live key is older than rotation.max_age allows; negative once it is."},
		{"key_until_due_seconds", Gauge, ofConnection, "In how long the next key of the file is due."},
		{"key_state", Gauge, []string{environment, connection, "state"}, "1; the state of a connection's keys, as in rotate status; a row for each where several hold."},
		{"key_refusals", Gauge, []string{environment, connection, "confirmed"}, "Keys of the file that the provider refuses; confirmed where that counts. Only of connections that have one."},
		{"key_soak_remaining_seconds", Gauge, ofConnection, "In how long the soak of the live key ends; negative where that is overdue."},
		{"key_soak_users", Gauge, []string{environment, connection, "at"}, "Active end users of a connection whose key soaks: at its start, and now."},

		{"token_until_expiry_seconds", Gauge, []string{account}, "In how long the token of an account ends; negative once it has."},
		{"token_until_renewal_ends_seconds", Gauge, []string{account}, "In how long the token of an account can be renewed no more."},

		{"api_requests_total", Counter, []string{account, "operation", "code"}, "Requests to Terra's Admin API, by operation and status; without an answer the code is timeout, network or canceled."},
		{"api_request_duration_seconds", Histogram, []string{"operation"}, "How long a request took, from its turn until its answer was read."},
		{"api_wait_seconds_total", Counter, []string{account}, "Seconds that requests waited for their turn: the pace, and pauses that Terra asked for."},
		{"api_rate_limit_remaining", Gauge, []string{account}, "Mutations that Terra last said may still be sent; absent where it does not say."},

		{"notifications_total", Counter, []string{receiver, outcome}, "Messages to a receiver, by outcome: delivered, failed."},
		{"notification_consecutive_failures", Gauge, []string{receiver}, "Tries in a row at which a receiver took no message."},
		{"notifications_waiting", Gauge, []string{receiver}, "Messages that wait for a receiver."},
		{"notifications_dropped_total", Counter, []string{receiver}, "Messages that a receiver never gets: it refused them for good, or there was no room."},
		{"notification_last_success_timestamp_seconds", Gauge, []string{receiver}, "When a receiver took a message last."},
	}
}

// Table is the list of metrics as Markdown, for docs/operations.md.
func Table() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range Families() {
		labels := "`" + strings.Join(f.Labels, "`, `") + "`"
		if len(f.Labels) == 0 {
			labels = ""
		}
		b.WriteString("| `" + Prefix + f.Name + "` | " + string(f.Kind) + " | " + labels + " | " + strings.TrimSuffix(f.Help, ".") + " |\n")
	}
	return b.String()
}

// family gives one by its name without Prefix.
func family(name string) Family {
	all := Families()
	return all[slices.IndexFunc(all, func(f Family) bool { return f.Name == name })]
}
