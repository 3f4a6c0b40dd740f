package providers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// madeUp is a provider as somebody would add it: one value.
func madeUp() Provider {
	return Provider{
		Slug: "madeup", Name: "Made-up", Keys: KeysRequired, Why: "It says so.",
		Portal: "https://portal.example",
		Fields: []Field{
			{Name: ClientID, Native: "app_name", Label: "App name", Sample: "acme"},
			{Name: ClientSecret, Label: "Secret"},
		},
		Steps: []Step{{Name: "app", Do: "Create an app.", Evidence: []Evidence{done()}}},
		Reset: Reset{Effect: "The old secret dies.", Order: ResetFirst},
		Probe: &Probe{
			Method: "POST", URL: "https://api.example/token", Asks: "exchange a code", Proves: "the pair", Limits: "Nothing else is.",
			Form:  []Pair{{"client_id", "{client_id}"}, {"client_secret", "{client_secret}"}},
			Judge: func(a Answer) ProbeResult { return a.unclear() },
		},
	}
}

// TestCatalogue runs one suite over every provider, a made-up one included.
func TestCatalogue(t *testing.T) {
	all := All()
	if len(all) < 20 {
		t.Fatalf("the catalogue holds %d providers, want at least 20: a suite over nothing proves nothing", len(all))
	}
	for _, p := range append(all, madeUp()) {
		t.Run(p.Slug, func(t *testing.T) {
			if faults := faultsOf(p); len(faults) > 0 {
				t.Errorf("%s", strings.Join(faults, "\n"))
			}
		})
	}
	t.Logf("COUNT providers=%d", len(all))
}

// TestSuiteSeesFaults proves that the suite turns red for each fault it names.
func TestSuiteSeesFaults(t *testing.T) {
	faults := map[string]func(*Provider){
		"slug":             func(p *Provider) { p.Slug = "Made Up" },
		"name":             func(p *Provider) { p.Name = "" },
		"why":              func(p *Provider) { p.Why = "It says so" },
		"portal":           func(p *Provider) { p.Portal = "http://portal.example" },
		"required fields":  func(p *Provider) { p.Fields = nil },
		"field order":      func(p *Provider) { slices.Reverse(p.Fields) },
		"fields for none":  func(p *Provider) { p.Keys = KeysNone },
		"secret sample":    func(p *Provider) { p.Fields[1].Sample = "s3cret" },
		"sample vs rule":   func(p *Provider) { p.Fields[0].Rules = []Rule{{Match: made(digits, 1, 9), Says: "x"}} },
		"rule text":        func(p *Provider) { p.Fields[0].Rules = []Rule{{Match: made(alphanums, 1, 99)}} },
		"step text":        func(p *Provider) { p.Steps[0].Do = "Create an app" },
		"step name":        func(p *Provider) { p.Steps[0].Name = "An app" },
		"step twice":       func(p *Provider) { p.Steps = append(p.Steps, p.Steps[0]) },
		"step evidence":    func(p *Provider) { p.Steps[0].Evidence = nil },
		"evidence text":    func(p *Provider) { p.Steps[0].Evidence[0].Says = "" },
		"step option":      func(p *Provider) { p.Steps[0].When = When{Option: "nope", Values: []string{"x"}} },
		"proven by":        func(p *Provider) { p.Steps[0].ProvenBy = "nope" },
		"placeholder":      func(p *Provider) { p.Steps[0].Do = "Paste {nope}." },
		"pasted mark":      func(p *Provider) { p.Steps[0].Do = "Register {redirect}." },
		"reset effect":     func(p *Provider) { p.Reset.Effect = "" },
		"reset order":      func(p *Provider) { p.Reset.Order = "" },
		"no probe, no why": func(p *Provider) { p.Probe = nil },
		"probe and why":    func(p *Provider) { p.Unproved = "No." },
		"probe plain http": func(p *Provider) { p.Probe.URL = "http://api.example/token" },
		"probe query":      func(p *Provider) { p.Probe.URL = "https://api.example/token?s={client_secret}" },
		"probe no pair":    func(p *Provider) { p.Probe.Form = p.Probe.Form[:1] },
		"probe no judge":   func(p *Provider) { p.Probe.Judge = nil },
		"end date":         func(p *Provider) { p.Ends = []EndOfLife{{Date: "soon", What: "x", Successor: "y"}} },
		"end step":         func(p *Provider) { p.Ends = []EndOfLife{{Date: "2026-01-01", What: "x", Successor: "y", Step: "nope"}} },
		"option sample":    func(p *Provider) { p.Options = []Option{{Name: "o", Says: "x", Values: []string{"a"}, Sample: "b"}} },
		"webhooks":         func(p *Provider) { p.Webhooks = true },
		"custom address":   func(p *Provider) { p.CustomRedirect = "https://{domain}/x" },
	}
	for name, spoil := range faults {
		t.Run(name, func(t *testing.T) {
			p := madeUp()
			spoil(&p)
			if len(faultsOf(p)) == 0 {
				t.Error("the suite finds no fault")
			}
		})
	}
}

var (
	slugShape   = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	placeholder = regexp.MustCompile(`\{[a-z_]*\}`)
	pasted      = regexp.MustCompile(`\{(redirect|webhook|callback_host)\}[.,;:]`)
)

// faultsOf lists what a provider's value lacks.
func faultsOf(p Provider) []string {
	var faults []string
	want := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, p.Slug+": "+fault)
		}
	}
	want(slugShape.MatchString(p.Slug), "slug is not lower case with underscores")
	want(p.Name != "", "no name")
	want(sentence(p.Why), "why is not a sentence")
	want(p.Portal == "" || httpsAddress(p.Portal), "portal is not an https address")
	want(p.Keys != KeysRequired || p.Portal != "", "required keys without a portal")
	want(sentence(p.Reset.Effect), "what a reset does is not a sentence")
	want(p.Reset.Order != "" || p.Keys != KeysRequired, "required keys without an order of commit and reset")
	want(p.CustomDomain == (p.CustomRedirect != ""), "custom domain without its redirect address, or the reverse")
	want(!p.Webhooks || p.CustomWebhook != "", "managed webhooks without their address")
	for _, e := range p.Ends {
		_, err := time.Parse(time.DateOnly, e.Date)
		want(err == nil && e.What != "" && e.Successor != "", "end of life is incomplete")
		_, known := p.Step(e.Step)
		want(e.Step == "" || known, "end of life names an unknown step")
	}
	for _, text := range texts(reflect.ValueOf(p), nil) {
		for _, name := range placeholder.FindAllString(text, -1) {
			want(!strings.Contains(p.expand(name, Values{}), "{"), "unknown placeholder "+name)
		}
	}
	faults = append(faults, fieldFaults(p)...)
	faults = append(faults, stepFaults(p)...)
	return append(faults, probeFaults(p)...)
}

func fieldFaults(p Provider) []string {
	var faults []string
	want := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, p.Slug+": "+fault)
		}
	}
	if p.Keys == KeysNone {
		want(len(p.Fields) == 0, "fields without keys")
	} else {
		want(len(p.Fields) == 0 && p.setByTerra() || len(p.Fields) == 2 && p.Fields[0].Name == ClientID && p.Fields[1].Name == ClientSecret, "fields are not client_id, client_secret")
	}
	for _, f := range p.Fields {
		want(f.Label != "", f.Name+" has no label")
		want(f.Name != ClientSecret || f.Sample == "", "a sample of a secret")
		want(f.Sample == "" || len(p.check(f.Name, f.Sample)) == 0, f.Name+": its own sample breaks a rule")
		for _, r := range f.Rules {
			want(r.Match != nil && r.Says != "" && r.Hint != "", f.Name+": rule without match, words or hint")
		}
	}
	for _, o := range p.Options {
		want(slugShape.MatchString(o.Name) && o.Says != "" && o.Sample != "", "option "+o.Name+" is incomplete")
		want((o.Match == nil) == (o.Shape == ""), "option "+o.Name+": match and its words go together")
		want(len(o.Values) == 0 || slices.Contains(o.Values, o.Sample), "option "+o.Name+": its sample is not allowed")
	}
	return faults
}

func stepFaults(p Provider) []string {
	var faults []string
	want := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, p.Slug+": "+fault)
		}
	}
	seen := map[string]bool{}
	for _, s := range p.Steps {
		want(slugShape.MatchString(s.Name) && !seen[s.Name], "step name "+s.Name+" is misspelt or taken")
		seen[s.Name] = true
		want(sentence(s.Do), "step "+s.Name+" is not a sentence")
		want(!pasted.MatchString(s.Do), "step "+s.Name+": a mark after an address is pasted with it")
		want(len(s.Evidence) > 0, "step "+s.Name+" has no evidence")
		want(s.Link == "" || httpsAddress(s.Link), "step "+s.Name+": link is not an https address")
		for _, e := range s.Evidence {
			want(e.Name != "" && e.Says != "" && e.Sample != "", "step "+s.Name+": evidence is incomplete")
			want(!e.Option || slices.ContainsFunc(p.Options, func(o Option) bool { return o.Name == e.Name }), "step "+s.Name+": no such option")
		}
		want(s.When.Option == "" || slices.ContainsFunc(p.Options, func(o Option) bool { return o.Name == s.When.Option }), "step "+s.Name+" depends on an unknown option")
		if s.ProvenBy != "" {
			_, ok := p.Step(s.ProvenBy)
			want(ok, "step "+s.Name+" is proven by an unknown step")
		}
	}
	return faults
}

func probeFaults(p Provider) []string {
	if p.Probe == nil {
		if !sentence(p.Unproved) {
			return []string{p.Slug + ": neither a probe nor a reason why there is none"}
		}
		return nil
	}
	var faults []string
	want := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, p.Slug+": "+fault)
		}
	}
	q := p.Probe
	want(p.Unproved == "", "a probe and a reason why there is none")
	want(httpsAddress(q.URL) && !strings.ContainsAny(q.URL, "?{"), "the probe's address is not plain https")
	want(q.Method == "GET" || q.Method == "POST", "the probe's method")
	want(q.Asks != "" && q.Proves != "" && sentence(q.Limits), "the probe's words")
	want(q.Judge != nil, "no judge")
	form := len(q.Form) > 0 && slices.ContainsFunc(q.Form, func(f Pair) bool { return f.Value == "{client_id}" }) &&
		slices.ContainsFunc(q.Form, func(f Pair) bool { return f.Value == "{client_secret}" })
	want(form != q.Basic, "the pair must travel in the form or as Basic authentication")
	return faults
}

func sentence(s string) bool {
	return len(s) > 5 && strings.HasSuffix(s, ".") && !strings.Contains(s, "\n") && strings.TrimSpace(s) == s
}

func httpsAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

// texts collects every string of a value except the probe's form.
func texts(v reflect.Value, into []string) []string {
	switch v.Kind() {
	case reflect.String:
		return append(into, v.String())
	case reflect.Slice:
		for i := range v.Len() {
			into = texts(v.Index(i), into)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Pair]() {
			return into
		}
		for i := range v.NumField() {
			into = texts(v.Field(i), into)
		}
	}
	return into
}

// TestAllIsWhole compares the list with the functions that make a provider.
func TestAllIsWhole(t *testing.T) {
	listed := map[string]bool{}
	list := catalogue()
	for i, e := range list {
		if p := e.make(); p.Slug != e.slug {
			t.Errorf("catalogue.go calls %q what calls itself %q", e.slug, p.Slug)
		}
		if i > 0 && list[i-1].slug >= e.slug {
			t.Errorf("catalogue.go is not sorted at %q", e.slug)
		}
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	makers := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if file.Name() == "catalogue.go" {
			ast.Inspect(tree, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					listed[id.Name] = true
				}
				return true
			})
		}
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || f.Type.Params.NumFields() != 0 || f.Type.Results.NumFields() != 1 {
				continue
			}
			if id, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && id.Name == "Provider" {
				makers++
				if !namesItsSources(tree, f) {
					t.Errorf("%s: %s does not say where its facts were read", file.Name(), f.Name.Name)
				}
				if !listed[f.Name.Name] {
					t.Errorf("%s: %s is missing from catalogue.go", file.Name(), f.Name.Name)
				}
			}
		}
	}
	if makers != len(list) {
		t.Errorf("%d functions make a provider, %d are listed", makers, len(list))
	}
}

// namesItsSources reports whether the comment of a provider, or of the function in its
// file that it is made by, says where the facts were read.
func namesItsSources(file *ast.File, maker *ast.FuncDecl) bool {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && (f == maker || f.Type.Params.NumFields() > 2) && strings.Contains(f.Doc.Text(), "docs.tryterra.co") {
			return true
		}
	}
	return false
}

func TestAllIsACopy(t *testing.T) {
	first := All()
	first[slices.IndexFunc(first, func(p Provider) bool { return p.Slug == "strava" })].Steps[0].Name = "spoiled"
	got, ok := Lookup("STRAVA")
	if !ok || got.Steps[0].Name != "app" {
		t.Errorf("Lookup = %q %v, want an untouched copy", got.Steps[0].Name, ok)
	}
	if _, ok := Lookup("nobody"); ok {
		t.Error("Lookup finds a provider that is not there")
	}
}

func TestVocabulary(t *testing.T) {
	v := Vocabulary()
	if len(v.Providers) != len(All()) {
		t.Fatalf("%d providers, want %d", len(v.Providers), len(All()))
	}
	words := map[string]spec.Words{}
	for _, w := range v.Providers {
		words[w.Slug] = w
	}
	if got := words["virtuagym"].Native; got["portal_name"] != ClientID || got["api_key"] != ClientSecret {
		t.Errorf("virtuagym's own names: %v", got)
	}
	if got := words["samsung"].Options["route"]; !slices.Equal(got, []string{"direct", "health_connect"}) {
		t.Errorf("samsung's routes: %q", got)
	}
	if got := words["samsung"].Setup; slices.Contains(got, "sdk") {
		t.Errorf("samsung's steps name one whose evidence is an option: %q", got)
	}
	var domains, webhooks []string
	for _, w := range v.Providers {
		if w.Domain {
			domains = append(domains, w.Slug)
		}
		if w.Webhooks {
			webhooks = append(webhooks, w.Slug)
		}
	}
	if want := []string{"dexcom", "dexcom_eu", "garmin", "strava", "whoop"}; !slices.Equal(domains, want) {
		t.Errorf("custom domains: %q, want %q", domains, want)
	}
	if want := []string{"garmin"}; !slices.Equal(webhooks, want) {
		t.Errorf("managed webhooks: %q, want %q", webhooks, want)
	}
}
