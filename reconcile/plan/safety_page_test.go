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
	t.Logf("COUNT plan_guards=%d", len(Overrides()))
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

Which changes can hurt, and what holds them. The tables are generated from the code
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
asked in this order, the caps after them; the first that refuses names the gate. What
comparing alone holds comes last here, and is asked first.

| guard | holds |
|---|---|
`)
	for _, o := range Overrides() {
		fmt.Fprintf(&b, "| %s | %s |\n", o.Guard, o.Holds)
	}
	b.WriteString(`
## Overrides

What lets a change through that a guard holds. *allow* stands in the repository and is
bound to its change; *hash* is an approved plan; *--now* goes with one. An empty cell
lifts nothing. Every cell is proved by a test that plans with it.

| guard | allow | hash | hash and --now | a commit of | what else |
|---|---|---|---|---|---|
`)
	for _, o := range Overrides() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", o.Guard, cell(o.Allow), cell(o.Hash), cell(o.Now), o.Commit, o.Else)
	}
	b.WriteString(`
**Caps.** Count and percent both bind. The percentage is of the live connections,
rounded up, and at least one. Several changes of one connection count once. Safe
changes proceed when a cap is tripped.

**Windows** follow the wall clock of their time zone: in an hour that daylight saving
repeats a window is open twice, in a skipped hour it is not open at all. ` + "`to`" + ` before
` + "`from`" + ` means across midnight.

**Approval by hash** names one plan: dev-id, actions, fields, what is live and what is
wanted. If anything of that changes, the hash is refused.

**Allow** in the repository approves one change of one connection, to one target, until
a moment. A client id is never allowed without its target.

**Protection** is remembered with the state, so it does not go with the file that
asked for it. Only a file that is still there and says ` + "`protect: false`" + ` lifts it.

**Pruning** needs three yeses: no file names the connection, we enabled it ourselves,
and the environment says ` + "`prune: disable`" + `. Then it needs an approval, as all that is
destructive.

**A failed or partial read, an empty set of files** are not gates: there is no change
to hold, because nothing is known. An empty list where there were connections before is
no news either: all waits for a yes.

**What is held stays held.** Nothing passes in the next run only because memory has
changed meanwhile: the first set-up of a connection stays one until it is finished, and
keys that somebody set by hand are not overwritten because the next key has become due.
`)
	return b.String()
}
