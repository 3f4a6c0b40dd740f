package cli

import "strings"

// topics explain the words of this program, by name, in the order in which a newcomer
// needs them.
func topics() []topic {
	return []topic{
		{"spec", "the files of a config repository", `A repository of YAML says what every environment has. A folder is an environment
when it holds environment.yaml; every other .yaml file in it is one connection.

  terra.yaml                   who can open the secrets; defaults
  production/environment.yaml  dev_id, schedule, windows, policy
  production/strava.yaml       one connection

  environment  one Terra dev-id
  connection   one provider in one environment (Terra calls it a source)
  end user     a person who linked a device through a connection

Omitted means not managed: a field that no file names is not read, compared or
changed. null means back to Terra's default. Removing a line never changes
Terra. Unknown fields are errors: "reconcile validate" lists all at once.
All fields: docs/files.md. What a provider needs: reconcile providers NAME.
`},
		{"secrets", "sealed in the files, never printed", `A secret stands in a file sealed with age, under !age. Anybody can seal to the
public recipients in terra.yaml; only who has an identity can open it.

  reconcile secret keygen --out ~/identity.txt   make an identity
  reconcile secret encrypt production/strava.yaml
  reconcile secret rekey                         after recipients changed

Each is bound to its dev_id, provider and field, so that it cannot be copied
elsewhere. A plan names it by the number of its key ("key 2"), and what is live
by Terra's own mask ("****9876"). Without an identity a dry run still works and
says "sealed, not compared". The whole story: docs/secrets.md.
`},
		{"rotation", "how one key follows another", `A key is one generation of a connection's client secret. A file lists them,
oldest first; the newest whose not_before has passed and that was not rejected
is due, and is made live.

  reconcile rotate add production/strava    seal a new key, with its day
  reconcile rotate status                   which key is live, and what is next

  probe     ask the provider itself whether it accepts the pair
  soak      the time for which a new key is watched
  rejected  a key that the provider refused, or after which end users fell away
  out of band   set at Terra by somebody, and not by a file

A working key is never replaced by one that does not work. The whole story:
docs/rotation.md.
`},
		{"safety", "what holds a change, and what lifts it", `Every change has a class: safe, disruptive (some end users may notice) or
destructive (they must reconnect, or their data stops). Guards look at the whole
plan before the first write. What a guard holds is not applied:

  waiting   for a time, a window, a step of a person at a provider
  blocked   by a rule; a commit or "reconcile resume" lifts it
  approval  a person must agree to exactly this

  drift     Terra is not as last agreed, and the repository is unchanged
  adopt     Terra had it before we did: nothing of it is overwritten silently
  prune     no file names it any more, and we enabled it

"reconcile --dry-run --explain NAME" shows the guard, the reason and what can be
done. "reconcile pause" holds everything at once. The tables: docs/safety.md.
`},
		{"approvals", "how a person lets exactly one thing through", `A plan has a hash, and so has each connection in it. An approval names one of
them, serves once, and is void when that has changed. 8 digits are
enough, unless the runner asks for more. Whoever writes two plans of their own
choice finds two that begin with the same 8 digits in seconds (2^16 tries), one
to show and one to apply; with 32 that takes 2^64. To approve what others
commit, write approvals: {digits: 32} into daemon.yaml (8 to 64; the default is
32 where approvals.required is 2 or more). Reports then print as many.

  reconcile approve production/huawei 5e2c497c     the daemon, at once
  reconcile --approve production/huawei=5e2c497c   without a daemon
  reconcile apply plan.json --only production/huawei
  reconcile approve production 96dca685            everything that it covers

The approval of an environment never covers a key that was set out of band (it
may be an emergency fix), a host that the runner does not know, or a commit
that the branch went back to. That connection is approved alone, and two
approvals never add up. --now waits neither for a window nor for another
environment. Lines in the repository approve as well: policy.allow, bound to
their target and to a time. Several people: approvals.required in daemon.yaml.
Who approved what: reconcile history.
`},
		{"exit-codes", "what the end of a run says, and the signs of a report", "Exit codes of a run:\n\n" + exitCodes() + `
Signs of a report, in front of a connection:

  !  a person must decide      x  failed
  +  added, or resumed         -  taken away, or paused
  ~  changed                   ·  waits
  ?  not compared

--exit-code simple gives 0 in the place of 2. reconcile status: 1 where no
daemon answers, or it makes no progress.
`},
	}
}

type topic struct{ name, short, text string }

// topicOf gives the topic of a name.
func topicOf(name string) (topic, bool) {
	for _, t := range topics() {
		if t.name == name {
			return t, true
		}
	}
	return topic{}, false
}

// topicList lists the topics, as help shows it.
func topicList() string {
	var out strings.Builder
	for _, t := range topics() {
		out.WriteString("  " + t.name + strings.Repeat(" ", 12-len(t.name)) + t.short + "\n")
	}
	return out.String()
}
