package plan

import (
	"slices"
	"strings"
)

// Override is one row of the table of overrides: what lets a change through that
// a guard holds. What is not said here lifts nothing.
type Override struct {
	Guard  string
	Holds  string // what the guard holds
	Allow  bool   // an allow in the repository, bound to the change
	Hash   bool   // an approved plan hash
	Now    bool   // an approved plan hash with --now
	Commit string // what to commit; "" when no commit does
	Else   string // what else ends it; "" when nothing does
}

// Overrides is the table of overrides, in the order in which the guards are
// asked: those on single changes, the caps, and what comparing alone holds.
func Overrides() []Override {
	const no, yes = false, true
	return []Override{
		{"pause", "every change that `reconcile pause` is about: of everything, an environment or a connection", no, no, no, "", "`reconcile resume`, or its end"},
		{"suspend", "every change of a suspended environment or connection", no, no, no, "", "its end"},
		{"observe", "every change of an environment with mode: observe", no, no, no, "mode: apply", ""},
		{"empty-set", "pruning when the environment names no connection at all", no, no, no, "", ""},
		{"protect", "pause and disable of a protected connection", no, no, no, "protect: false in its file, which stays", ""},
		{"on_drift", "reverting drift where on_drift: report", no, no, no, "on_drift: revert, or what Terra has", ""},
		{"probe", "a secret that the provider itself rejects", no, no, no, "another key", "a provider that accepts it"},
		{"probe-required", "a secret that the provider has not accepted, where the file says probe: require", yes, yes, yes, "probe: prefer", "a provider that accepts it"},
		{"roll-back", "going back from a rejected live key to one that was not live before or that the provider does not accept now", yes, yes, yes, "another key", "a provider that accepts the key before it"},
		{guardRedirectHost, "a redirect_url or domain on a host that is neither Terra's own, nor live in that field, nor in the runner's redirect_hosts", no, yes, yes, "a host that is one of these, or null", "a runner that lists the host"},
		{guardOlderCommit, "disruptive and destructive changes, and all that writes keys, while the branch stands on a commit that was followed before a newer one", no, yes, yes, "what is wanted, as a new commit", "a branch that is on the newest commit again"},
		{"empty-list", "every change while Terra lists nothing and there were connections before", yes, yes, yes, "", "a list that is not empty"},
		{"adopt", "the first disruptive change, or overwriting keys, of a connection of which nothing is remembered", yes, yes, yes, "what Terra has", ""},
		{guardSecretDrift, "reverting a client_id or secret that somebody set by hand", yes, yes, yes, "the live key, or on_secret_drift: revert", "a provider that, asked in this run, accepts the wanted pair"},
		{"destructive", "every destructive change; an explicit state: disabled is its own approval", yes, yes, yes, "", ""},
		{"after-suspend", "disruptive and destructive changes after a suspend, a pause or a restored state, until a run finds none of them", yes, yes, yes, "", ""},
		{"window", "disruptive and destructive changes outside the windows", no, no, yes, "other windows", "time"},
		{"max_changes", "every disruptive or destructive change that nobody approved, when more connections would be hurt than the cap allows", yes, yes, yes, "higher max_changes", ""},
		{"max_rotations", "every rotation that nobody approved, when more are to be done at once than allowed", yes, yes, yes, "higher max_rotations", ""},
		{"provider", "what Terra does not offer for this provider", no, no, no, "the file without it", ""},
		{"credentials", "keys that are incomplete, and enabling, or an own app, while the keys cannot be opened; where Terra has no app to lend, enabling while they are held", no, no, no, "the missing key", "an identity that opens it"},
		{"secret-ref", "replacing a secret that Terra reads from a store of yours", yes, no, no, "", ""},
		{"domain", "replacing a custom domain, and a redirect_url on one that does not serve yet", no, no, no, "domain: null first", "publishing its address"},
		{"setup", "enabling, or a first own app, before a human step is done", no, no, no, "the evidence of that step", ""},
		{"order", "webhook rows before the keys and the domain, or while the provider locks them", no, no, no, "", "time, or the step that comes first"},
		{GuardRejected, "a key that the provider rejected, or after which end users fell away", no, no, no, "its entry sealed anew, or a newer key", ""},
	}
}

// OverrideOf gives the row of a guard; ok is false for a name that is none.
func OverrideOf(guard string) (Override, bool) {
	i := slices.IndexFunc(Overrides(), func(o Override) bool { return o.Guard == guard })
	if i < 0 {
		return Override{}, false
	}
	return Overrides()[i], true
}

// String says in words what lifts the guard, "nothing" when nothing does.
func (o Override) String() string {
	var ways []string
	if o.Allow {
		ways = append(ways, "allow")
	}
	switch {
	case o.Hash:
		ways = append(ways, "an approved hash")
	case o.Now:
		ways = append(ways, "an approved hash with --now")
	}
	if o.Commit != "" {
		ways = append(ways, "a commit: "+o.Commit)
	}
	if o.Else != "" {
		ways = append(ways, o.Else)
	}
	if len(ways) == 0 {
		return "nothing"
	}
	return strings.Join(ways, "; ")
}
