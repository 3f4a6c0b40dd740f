package spec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// A connection that the other environment has no file of would wait for ever: that is
// said once for each `after`, at its line, and stops nothing.
func TestAfterWithoutCounterpart(t *testing.T) {
	t.Parallel()
	const waits = "dev_id: p\nprune: never\nafter: {environment: staging, for: 24h}\n"
	many := map[string]string{"production/environment.yaml": waits}
	for _, provider := range []string{"freestylelibre", "garmin", "huawei", "samsung", "strava", "whoop"} {
		many["production/"+provider+".yaml"] = "provider: " + provider + "\n"
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"one": {map[string]string{"production/environment.yaml": waits, "production/huawei.yaml": "provider: huawei\n", "production/strava.yaml": "provider: strava\n", "staging/strava.yaml": "provider: strava\n"},
			"production/environment.yaml:3:8: warning: production/huawei has no file in staging, so it would wait for ever, give it one there, or write `after: null` in its file"},
		"two": {map[string]string{"production/environment.yaml": waits, "production/huawei.yaml": "provider: huawei\n", "production/strava.yaml": "provider: strava\n"},
			"production/environment.yaml:3:8: warning: production/huawei, production/strava have no file in staging, so they would wait for ever, give them one there, or write `after: null` in theirs"},
		"many": {many,
			"production/environment.yaml:3:8: warning: production/freestylelibre, production/garmin, production/huawei and 3 more have no file in staging, so they would wait for ever, give them one there, or write `after: null` in theirs"},
		"its own": {map[string]string{"production/environment.yaml": "dev_id: p\nprune: never\n", "production/huawei.yaml": "provider: huawei\nafter: {environment: staging, for: 24h}\n", "production/strava.yaml": "provider: strava\n"},
			"production/huawei.yaml:2:8: warning: production/huawei has no file in staging, so it would wait for ever, give it one there, or write `after: null` in its file"},
		"waits for none": {map[string]string{"production/environment.yaml": waits, "production/huawei.yaml": "provider: huawei\nafter: null\n"}, ""},
		"another name":   {map[string]string{"production/environment.yaml": waits, "production/huawei.yaml": "provider: huawei\n", "staging/ring.yaml": "provider: huawei\n"}, ""},
		"errors there": {map[string]string{"production/environment.yaml": waits, "production/huawei.yaml": "provider: huawei\n", "staging/huawei.yaml": "provider: [\n"},
			"staging/huawei.yaml:"},
		"errors here": {map[string]string{"production/environment.yaml": waits, "production/huawei.yaml": "provider: huawei\nafter: nul\n"},
			"production/huawei.yaml:2:8: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.files["terra.yaml"] = "version: 1\nsecrets: {binding: require}\n"
			c.files["staging/environment.yaml"] = "dev_id: s\nprune: never\n"
			set, problems := spec.Load(files(c.files), vocabulary())
			got := strings.Trim(fmt.Sprint(problems), "[]")
			if strings.HasSuffix(c.want, ": ") || strings.HasSuffix(c.want, ":") { // an error alone
				if len(problems) != 1 || problems[0].Severity != spec.Error || !strings.HasPrefix(got, c.want) {
					t.Errorf("got %s, want one error at %s", got, c.want)
				}
				return
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, e := range set.Environments {
				if e.Invalid {
					t.Errorf("%s is invalid", e.Name)
				}
			}
		})
	}
}
