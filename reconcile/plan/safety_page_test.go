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
	t.Logf("COUNT plan_guards=%d", len(Guards())+len(holds()))
	t.Logf("COUNT plan_class_rows=%d", len(Classes()))
}

// holds are the guards beside the table: name, what it holds, what lifts it.
func holds() [][3]string {
	return [][3]string{
		{"max_changes", "every disruptive or destructive change that nobody approved, when more connections would be hurt than the cap allows", "allow, an approved hash, or a commit that raises it"},
		{"max_rotations", "every due rotation, when more are due at once than allowed", "allow, an approved hash, or a commit that raises it"},
		{"provider", "what Terra does not offer for this provider", "a commit that drops it"},
		{"credentials", "keys that are incomplete, and enabling while the keys cannot be opened", "the missing key, or an identity that opens it"},
		{GuardRejected, "a key that the provider rejected, or after which end users fell away", "another key: its entry sealed anew, or a newer one"},
		{"secret-ref", "replacing a secret that Terra reads from a store of yours", "allow of secret_ref"},
		{"domain", "replacing a custom domain, and a redirect_url on one that does not serve yet", "its release by a commit; publishing its address"},
		{"setup", "enabling, or a first own app, before a human step is done", "the evidence of that step"},
		{"order", "webhook rows before the keys and the domain, or while the provider locks them", "time, or the step that comes first"},
	}
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
asked in this order; the first that refuses names the gate.

| guard | holds | lifted by |
|---|---|---|
`)
	for _, g := range Guards() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", g.Name, g.Holds, g.Overrides)
	}
	for _, h := range holds() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", h[0], h[1], h[2])
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
to hold, because nothing is known.
`)
	return b.String()
}
