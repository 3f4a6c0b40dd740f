package reconcile

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

var exampleSecret = regexp.MustCompile(`!age \|\n(        .*\n)+`)

// TestEveryProviderWorks takes the example of every provider from nothing to a
// second plan that is empty: through its domain, its human steps, its webhooks.
func TestEveryProviderWorks(t *testing.T) {
	t.Parallel()
	all := providers.All()
	if len(all) < 20 {
		t.Fatalf("the catalogue holds %d providers, want at least 20", len(all))
	}
	waited := 0
	for _, p := range all {
		t.Run(p.Slug, func(t *testing.T) {
			w := newWorld(t)
			if p.Keys == providers.KeysNone {
				w.terra.SetSourceType("", terratest.SourceType{Provider: p.Slug, DisplayName: p.Name, AuthType: "sdk", DataTypes: []string{}})
			}
			text := exampleSecret.ReplaceAllStringFunc(p.Example(providers.Values{}), func(string) string {
				return w.seal(p.Slug, "client_secret", "x1Y2z3A4b5C6d7E8f9G0h1J2k3L4m5N6", "        ")
			})
			w.write("production/"+p.Slug+".yaml", text)
			r := w.settle(p.Slug)
			if slices.ContainsFunc(p.Ends, func(e providers.EndOfLife) bool { return e.Blocks }) {
				if n := r.Environments[0].NotCompared; len(n) != 0 || r.ExitCode != report.ExitDone {
					t.Errorf("its own example, which leaves it, is refused: %s", w.show(r))
				}
				w.write("production/"+p.Slug+".yaml", strings.ReplaceAll(text, "state: disabled", "state: active"))
				r = w.settle(p.Slug)
				if n := r.Environments[0].NotCompared; len(n) != 1 || !strings.Contains(n[0].Reason, p.Ends[0].Successor) {
					t.Errorf("it is at its end, yet %s", w.show(r))
				}
				return
			}
			if strings.Contains(text, "state: requested") {
				waited++
				if !strings.Contains(told(r), "DE must wait for activation") {
					expectGate(t, w.change(r, p.Slug+":enable"), plan.Waiting, "setup")
				}
				w.write("production/"+p.Slug+".yaml", strings.ReplaceAll(text, "state: requested", "state: active"))
				if p.Slug == "oura" {
					w.terra.Enable(devID, p.Slug)
					w.terra.SetAuthVariant(devID, p.Slug, "byo") // what Terra support does
				}
				r = w.settle(p.Slug)
			}
			if r.ExitCode != report.ExitDone || len(r.Environments[0].Changes) > 0 && r.Environments[0].Summary.Gated > 0 {
				t.Fatalf("exit %d\n%s", r.ExitCode, w.show(r))
			}
			w.inSync()
			live := w.terra.Live(devID).Sources[p.Slug]
			if own := strings.Contains(text, "credentials:"); live.State != "active" || own != (live.Credential != nil) {
				t.Errorf("live = %+v", live)
			}
			for _, warning := range r.Environments[0].Warnings {
				if strings.Contains(warning.Text, "not recorded") || strings.Contains(warning.Text, "Terra is believed") {
					t.Errorf("its own example warns: %s", warning.Text)
				}
			}
		})
	}
	if waited == 0 {
		t.Error("no provider waited for a human step")
	}
	t.Logf("COUNT providers_applied=%d", len(all))
}

// settle applies until nothing more can be done, and lets a claimed domain serve
// meanwhile.
func (w *world) settle(slug string) report.Report {
	w.t.Helper()
	var r report.Report
	for range 4 {
		r = w.apply()
		if live := w.terra.Live(devID).Sources[slug]; live.Domain != "" && !live.DomainServes {
			w.terra.PublishDNS(live.Domain)
			w.terra.Serve(live.Domain)
		}
	}
	return r
}
