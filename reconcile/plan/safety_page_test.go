package plan

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const safetyPage = "../../docs/safety.md"

// TestSafetyPage keeps docs/safety.md what the tables in the code say.
func TestSafetyPage(t *testing.T) {
	want := safety()
	if *update {
		if err := os.WriteFile(safetyPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(safetyPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/safety.md is stale; run go test ./reconcile/plan -run TestSafetyPage -update")
	}
	t.Logf("COUNT plan_guards=%d", len(Guards()))
	t.Logf("COUNT plan_class_rows=%d", len(Classes()))
}

func cell(yes bool) string {
	if yes {
		return "lifts"
	}
	return ""
}

func safety() string {
	var b strings.Builder
	b.WriteString(`# Safety

Which changes are disruptive or destructive, and what holds them. The tables are generated from the code
(` + "`go test ./reconcile/plan -run TestSafetyPage -update`" + `).

## Classes

A change has the class *some users* unless Terra says that exactly no end user is
active on the connection. A count that is unknown, or not exact, counts as some.

| action | when | some users | no users |
|---|---|---|---|
`)
	for _, c := range Classes() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.Action, c.When, c.With, c.WithNone)
	}
	b.WriteString(`
## Guards

All guards run on the whole plan before the first write. On each change they are
asked in this order: what Terra can do at all, from rejected to order, then the guards
on single changes, then the caps. The first that refuses names the gate.

| guard | holds |
|---|---|
`)
	for _, o := range Guards() {
		fmt.Fprintf(&b, "| %s | %s |\n", o.Name, o.Holds)
	}
	b.WriteString(`
## Overrides

What lets a change through that a guard holds. *allow* stands in the repository and is
bound to its change; *hash* is an approved plan or connection; *--now* goes with one. An empty cell
lifts nothing. Every cell is proved by a test that plans with it.

| guard | allow | hash | hash and --now | a commit of | what else |
|---|---|---|---|---|---|
`)
	for _, o := range Guards() {
		hash := cell(o.Lifts.Hash)
		if o.Lifts.Alone {
			hash = "lifts, of the connection alone"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", o.Name, cell(o.Lifts.Allow), hash, cell(o.Lifts.Now), o.Commit, o.Else)
	}
	b.WriteString(`
**Caps.** Count and percent both bind. The percentage is of the live connections,
with those that the counted changes make live, rounded up, and at least one: 100 never
holds anything. Several changes of one connection count once. Safe changes proceed when a
cap is tripped.

**Windows** follow the wall clock of their time zone: in an hour that daylight saving
repeats a window is open twice, in a skipped hour it is not open at all. ` + "`to`" + ` before
` + "`from`" + ` means across midnight.

**Promotion** (` + "`after`" + `) holds what a commit asks for, a first set-up and pruning, and not drift
or keys alone: [reuse.md](reuse.md#promotion) says what counts as the same change.

**Approval by hash** names one plan, or one connection of it: dev-id, actions, fields,
what is live and what is wanted, and how a new secret is proved and watched (` + "`rotation.probe`,\n`soak`, `max_user_drop`" + `). If anything of that changes, the hash is refused; a
change elsewhere does not touch the approval of a connection. 8 digits are enough
where commits are reviewed. They tell plans apart that differ by accident, and not those of
somebody who writes both: two plans of one's own choice with the same 8 digits, one to show
and one to apply, are found in seconds (2^16 tries). With 32 digits that takes 2^64 tries.
` + "`approvals: {digits: 32}`" + ` in daemon.yaml demands them, from 8 to 64; where several people
must approve 32 is the default. A script gives all 64. Approving the plan of an environment never covers a key that
was set out of band, a host that the runner does not know, or a commit that the branch
went back to: that connection is approved alone, by its own hash. Two approvals never add
up: one of them has to lift all that holds a change.

**Allow** in the repository approves one change of one connection, to one target, until
a moment. A client id is never allowed without its target.

**Protection** is remembered with the state, so it does not go with the file that
asked for it. Only a file that is still there and says ` + "`protect: false`" + ` lifts it.

**Pruning** needs three things at once: no file names the connection, we enabled it ourselves,
and the environment says ` + "`prune: disable`" + `. Then it needs an approval, as all that is
destructive.

**A failed or partial read, an empty set of files** are not gates: there is no change
to hold, because nothing is known. An empty list where there were connections before is
no news either: all waits for approval.

**What is held stays held.** Nothing passes in the next run only because memory has
changed meanwhile: the first set-up of a connection stays one until it is finished, and
keys that were set out of band are not overwritten because the next key has become due.
`)
	return b.String()
}
