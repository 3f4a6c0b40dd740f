package providers

import (
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// TestFreeStyleLibreRegions goes through every mix of regions that need an
// activation and that do not.
func TestFreeStyleLibreRegions(t *testing.T) {
	p := freeStyleLibre()
	tests := []struct {
		regions, open string
		gates         int
	}{
		{"", "", 0}, {"GB", "", 0}, {"GB,US,CH", "", 0},
		{"DE", "", 2}, {"FR", "", 2}, {"de,fr", "", 2},
		{"DE,GB", "open: GB", 0}, {"GB,FR,US", "open: GB, US", 0}, {"AT,DE,FR", "open: AT (may need them too, which is not confirmed)", 0},
		{"AT", "AT may need practice, activation too, which is not confirmed: ask Terra support", 0}, {"GB,at", "AT may need practice, activation too, which is not confirmed: ask Terra support", 0},
		{"DE,AT,GB", "open: GB, AT (may need them too, which is not confirmed)", 0},
	}
	for _, test := range tests {
		c := spec.Connection{Options: options("regions", test.regions)}
		if test.regions == "" {
			c.Options = nil
		}
		gates, warnings := p.Prerequisites(c, Seen{Now: on(9)}, false)
		told := ""
		for _, w := range warnings {
			told += w.Text
		}
		if len(gates) != test.gates || test.open == "" && told != "" || !strings.HasSuffix(told, test.open) {
			t.Errorf("%q: waits for %v, warnings %q; want %d and %q", test.regions, gates, told, test.gates, test.open)
		}
	}
}

func TestFreeStyleLibreTicketAsksForTheRegionsThatWait(t *testing.T) {
	p := freeStyleLibre()
	c := spec.Connection{Options: options("regions", "GB,de,US")}
	if got := p.Ticket(p.ValuesOf(c, "acme-1")); !strings.Contains(got, "regions:               DE\n") || strings.Contains(got, "GB") {
		t.Errorf("the ticket asks for the wrong regions:\n%s", got)
	}
	if !p.AwaitsAnswer(c, Seen{Now: on(9)}) {
		t.Error("Germany waits, so there is something to send")
	}
	c.Setup = setup{"activation": {State: "active", Fields: map[string]string{"ticket": "T-1"}}}
	if p.AwaitsAnswer(c, Seen{Now: on(9)}) {
		t.Error("an active region needs no ticket")
	}
	if got := p.Ticket(p.ValuesOf(spec.Connection{Options: options("regions", "AT,GB")}, "acme-1")); !strings.Contains(got, "regions:               AT\n") {
		t.Errorf("Austria cannot be asked about:\n%s", got)
	}
	if p.AwaitsAnswer(spec.Connection{Options: options("regions", "GB")}, Seen{Now: on(9)}) {
		t.Error("an open region needs no ticket")
	}
}
