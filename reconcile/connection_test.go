package reconcile

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// stage is one step of environment.run, and the fields of Connection that are its own.
type stage struct {
	name   string
	run    func(context.Context) error
	writes string
}

// stagesOf tells the loop of environment.run once more, step by step. Of measure there
// is one round, after which its connections go round again.
func stagesOf(env *environment) []stage {
	var which []*Connection
	quiet := func(fn func([]*Connection)) func(context.Context) error {
		return func(context.Context) error { fn(which); return nil }
	}
	round := []stage{
		{"resolve", func(context.Context) error { return env.resolve(which) },
			"catalogue listed found resolved Keys sealed due verification"},
		{"read", func(ctx context.Context) error {
			if env.sources != nil {
				return nil
			}
			return env.read(ctx)
		}, "answers"},
		{"observe", func(ctx context.Context) error { return env.observe(ctx, which) },
			"Provider Name due Observed Type Remembered source answers"},
		{"check", quiet(env.check), "checked waits tokenLifetime"},
		{"review keys", quiet(env.reviewKeys), "Desired"},
		{"plan", quiet(func([]*Connection) { env.makePlan() }), "Changes"},
		{"measure", func(ctx context.Context) (err error) { which, err = env.measure(ctx, which); return err },
			"Users Probe soakUsers dead warnings Keys keysAtStart Changes Desired"},
	}
	out := []stage{{"recall", func(ctx context.Context) error { err := env.recall(ctx); which = env.named(); return err },
		"Provider Remembered Name File keysAtStart Keys After"}}
	return append(slices.Concat(out, round, round),
		stage{"guard", env.guard, "Changes"},
		stage{"apply", env.apply, "Changes begun refusal keysAtStart"},
		stage{"remember", func(context.Context) error { return env.remember() }, "Keys keysAtStart"})
}

// TestStagesWriteTheirOwnFields takes an environment with a bit of everything through
// the loop, and compares every field of every connection before and after each stage.
func TestStagesWriteTheirOwnFields(t *testing.T) {
	t.Parallel()
	w, p := rotating(t)
	w.environment("windows: [{days: [mon], from: \"02:00\", to: \"03:00\", tz: UTC}]\n")
	w.write("production/polar.yaml", "provider: polar\n")
	w.write("production/oura.yaml", "provider: oura\n")
	w.applied()
	w.at("2026-12-01T02:00:00Z")
	w.applied() // key 2 soaks from now on
	w.at("2026-12-03T02:00:00Z")
	p.accepts = []string{secretA, secretB} // and not that of whoop
	w.terra.Enable(devID, "withings")
	w.terra.SetUsers(devID, "polar", 7, 0)
	w.write("production/polar.yaml", "provider: polar\nstate: paused\n")
	w.own("whoop", "an-id", secretC, "")
	delete(w.files, "production/oura.yaml")

	engine, store := w.engine(report.Apply)
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	env := w.begun(engine, report.Apply)
	written := map[string]bool{}
	for _, s := range stagesOf(env) {
		if s.name == "guard" {
			env.request.Now, env.request.Approve = true, map[string]string{"production": plan.Hash(env.plan)}
		}
		before := shown(env.connections)
		if err := s.run(t.Context()); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		after := shown(env.connections)
		for key, value := range after {
			provider, field, _ := strings.Cut(key, " ")
			former, had := before[key]
			if !had {
				former = before["- "+field] // of a connection that is new
			}
			if former == value {
				continue
			}
			written[s.name+" "+field] = true
			if !slices.Contains(strings.Fields(s.writes), field) {
				t.Errorf("%s writes %s of %s, which is not its own:\n%s\n%s", s.name, field, provider, former, value)
			}
		}
	}
	for _, s := range stagesOf(env) {
		if !slices.ContainsFunc(strings.Fields(s.writes), func(field string) bool { return written[s.name+" "+field] }) {
			t.Errorf("%s wrote nothing, so it was not tested", s.name)
		}
	}
	if n := len(w.terra.Writes()); n < 3 {
		t.Errorf("%d writes, want the stages to do all that a run does", n)
	}
}

// shown gives every field of every connection as text, by provider and field.
func shown(connections []*Connection) map[string]string {
	out := map[string]string{}
	add := func(provider string, c Connection) {
		outer := reflect.ValueOf(c)
		for i := range outer.NumField() {
			if name := outer.Type().Field(i).Name; name != "Connection" {
				out[provider+" "+name] = text(outer.Field(i))
			}
		}
		inner := reflect.ValueOf(c.Connection)
		for i := range inner.NumField() {
			out[provider+" "+inner.Type().Field(i).Name] = text(inner.Field(i))
		}
	}
	add("-", Connection{})
	for _, c := range connections {
		add(c.Provider, *c)
	}
	return out
}

// text shows a value and all it points to.
func text(v reflect.Value) string {
	if v.Type() == reflect.TypeFor[secrets.Value]() {
		return fmt.Sprint("a secret: ", !v.IsZero())
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return "&" + text(v.Elem())
	case reflect.Func:
		return fmt.Sprint(v.IsNil())
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			parts = append(parts, v.Type().Field(i).Name+":"+text(v.Field(i)))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case reflect.Slice, reflect.Array:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, text(v.Index(i)))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case reflect.Map:
		var parts []string
		for _, key := range v.MapKeys() {
			parts = append(parts, text(key)+"="+text(v.MapIndex(key)))
		}
		slices.Sort(parts)
		return "map[" + strings.Join(parts, " ") + "]"
	default:
		return fmt.Sprint(v)
	}
}
