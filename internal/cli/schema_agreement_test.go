package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// unknowable are the errors of the loaders that no schema can know of, by why. What a
// schema lets pass, a loader may refuse with one of these alone; what a schema refuses, a
// loader refuses too.
func unknowable() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		// A schema sees one file, and not its name.
		"other files": regexp.MustCompile(` is already in |has the same dev_id$|with those of |extends? |takes over more than |there is no environment |cannot wait for itself|waits for this environment in turn|this file is missing|there is no environment|the name of this environment is not valid|this file is ignored|terra.yaml may stand`),
		// A schema sees values. How they are written, in which order and how often, it
		// does not: nothing and null, tags, quotes, 05, anchors, a field twice.
		"how a value is written": regexp.MustCompile(` is empty$|is null by another name|unknown tag|!age stands before|is not a secret field|does not stand under !age|is not sealed under !age|must be a text$|is not a value|^(anchors|aliases) are|directive is not allowed|^this is not valid YAML`),
		// It says of each value what it may be, and not of one what it may be beside
		// another, or of its entries what they may be in this order.
		"a comparison": regexp.MustCompile(`must be shorter than|from and to are equal|is earlier than|are required$|, and no receiver is called so|signs in elsewhere$|^no route goes to |and accounts does not$|, as repos\.\S+ does$|only the first key can be unknown`),
		// Regular expressions do not count units, days of a month and white space.
		"a calculation": regexp.MustCompile(`must lie (between|in the years)|must be at (least|most) |repeats within less than|never fires|has \d+ characters|is not a day of the calendar`),
		// The tables of Unicode and of zones, and the forms of private keys, which may stand
		// nowhere.
		"tables": regexp.MustCompile(`control or invisible character|^this is an? (access token|private key|age identity|private age key)|not a time zone|unknown time zone`),
	}
}

// schemasOf compiles the schemas, by kind of file.
func schemasOf(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := schemaFiles()
	if err != nil {
		t.Fatal(err)
	}
	schemas := map[string]*jsonschema.Schema{}
	for _, kind := range []string{"terra", "environment", "connection", "daemon"} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(files[schemaFile(kind)]))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("mem:///"+kind, document); err != nil {
			t.Fatal(err)
		}
		if schemas[kind], err = compiler.Compile("mem:///" + kind); err != nil {
			t.Fatal(err)
		}
	}
	return schemas
}

// errNoTree says that a file is no YAML, or not one document, which an editor tells by
// itself.
var errNoTree = errors.New("not one document of YAML")

// instance reads YAML as editors do: by the core schema of YAML 1.2, tags as texts.
func instance(src []byte) (any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var first, second yaml.Node
	if decoder.Decode(&first) != nil || decoder.Decode(&second) == nil || len(first.Content) == 0 {
		return nil, errNoTree
	}
	return valueOf(first.Content[0])
}

func valueOf(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			value, err := valueOf(n.Content[i+1])
			_, twice := object[n.Content[i].Value]
			if err != nil || twice || n.Content[i].Kind != yaml.ScalarNode || n.Content[i].ShortTag() == "!!merge" {
				return nil, errNoTree
			}
			object[n.Content[i].Value] = value
		}
		return object, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			value, err := valueOf(item)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		return scalarOf(n), nil
	case yaml.AliasNode:
		return valueOf(n.Alias)
	}
	return nil, errNoTree
}

func scalarOf(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		if number := regexp.MustCompile(`^([-+]?)0*([0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?)$`).FindStringSubmatch(n.Value); number != nil {
			return json.Number(strings.TrimPrefix(number[1], "+") + number[2])
		}
		var decoded int64
		if n.Decode(&decoded) == nil && !strings.Contains(n.Value, "_") {
			return json.Number(strconv.FormatInt(decoded, 10))
		}
	}
	return n.Value
}

// verdict is what the loader has against a file, and the schema.
type verdict struct {
	loader []string
	schema error
}

// disagreement says how the two differ, "" where they agree or the schema can not know.
func (v verdict) disagreement(used map[string]bool) string {
	switch {
	case errors.Is(v.schema, errNoTree):
		return ""
	case v.schema != nil && len(v.loader) == 0:
		return fmt.Sprintf("the schema refuses what loads: %v", v.schema)
	case v.schema != nil || len(v.loader) == 0:
		return ""
	}
	for why, pattern := range unknowable() {
		for _, message := range v.loader {
			if pattern.MatchString(message) {
				used[why] = true
			}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(v.loader), func(message string) bool {
		for _, pattern := range unknowable() {
			if pattern.MatchString(message) {
				return true
			}
		}
		return false
	})
	if len(rest) > 0 {
		return "the schema lets pass what does not load: " + strings.Join(rest, "; ")
	}
	return ""
}

// judge gives the verdicts of all files of a repository, by name.
func judge(schemas map[string]*jsonschema.Schema, words spec.Vocabulary, files fstest.MapFS) map[string]verdict {
	errorsOf := map[string][]string{}
	_, problems := spec.Load(files, words)
	for _, p := range problems {
		if p.Severity == spec.Error {
			errorsOf[p.Origin.File] = append(errorsOf[p.Origin.File], p.Message)
		}
	}
	verdicts := map[string]verdict{}
	for name, file := range files {
		if strings.HasPrefix(name, "_") || strings.Contains(name, "/_") {
			continue // a file that others extend
		}
		kind := "connection"
		switch base := path.Base(name); {
		case base == "terra.yaml" && name == base:
			kind = "terra"
		case base == "environment.yaml" && name != base:
			kind = "environment"
		case files[path.Dir(name)+"/environment.yaml"] == nil, path.Ext(name) != ".yaml" || file.Mode != 0:
			continue
		}
		verdicts[name] = verdict{errorsOf[name], matches(schemas[kind], file.Data)}
	}
	return verdicts
}

func matches(schema *jsonschema.Schema, src []byte) error {
	value, err := instance(src)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func judgeDaemon(schemas map[string]*jsonschema.Schema, src []byte) verdict {
	v := verdict{schema: matches(schemas["daemon"], src)}
	_, err := config.Parse("/etc/reconcile/daemon.yaml", src, func(name string) string { return map[string]string{"HOME": "/home/ada"}[name] })
	var invalid *config.InvalidError
	switch {
	case errors.As(err, &invalid):
		for _, p := range invalid.Problems {
			v.loader = append(v.loader, p.Message)
		}
	case err != nil:
		v.loader = append(v.loader, err.Error())
	}
	return v
}

// TestSchemasAgreeWithFiles: what the examples and the pages show matches, and what the
// bad files of the loaders' tests hold does not, as far as a schema can know.
func TestSchemasAgreeWithFiles(t *testing.T) {
	t.Parallel()
	schemas, words, used, good, bad := schemasOf(t), providers.Vocabulary(), map[string]bool{}, 0, 0
	check := func(where string, v verdict) {
		t.Helper()
		if len(v.loader) == 0 {
			good++
		} else if v.schema != nil && !errors.Is(v.schema, errNoTree) {
			bad++
		}
		if text := v.disagreement(used); text != "" {
			t.Errorf("%s: %s", where, text)
		}
	}
	for where, files := range repositoriesOf(t) {
		for name, v := range judge(schemas, words, files) {
			check(where+" "+name, v)
		}
	}
	for _, pattern := range []string{"../../examples/daemon.yaml", "../../examples/container/runner/daemon.yaml", "../../examples/kubernetes/monitored/daemon.yaml", "../config/testdata/full.yaml", "../config/testdata/repos.yaml", "../config/testdata/app.yaml", "../config/testdata/bad/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			check(name, judgeDaemon(schemas, src))
		}
	}
	for why := range unknowable() {
		if !used[why] {
			t.Errorf("%s: no bad file needs this class", why)
		}
	}
	if good < 100 || bad < 60 {
		t.Errorf("%d good and %d bad files: are these all?", good, bad)
	}
	t.Logf("COUNT good files judged by loader and schema=%d", good)
	t.Logf("COUNT bad files judged by loader and schema=%d", bad)
}

// repositoriesOf are the examples, the repository of docs/files.md and every bad one of
// the loader's tests.
func repositoriesOf(t *testing.T) map[string]fstest.MapFS {
	t.Helper()
	all := map[string]fstest.MapFS{}
	for _, dir := range []string{"../../examples/config", "../../examples/providers"} {
		files := fstest.MapFS{}
		for _, depth := range []string{"*.yaml", "*/*.yaml"} {
			names, err := filepath.Glob(filepath.Join(dir, depth))
			if err != nil || len(names) == 0 {
				t.Fatalf("%s: %v, %v", dir, names, err)
			}
			for _, name := range names {
				src, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				below, _ := filepath.Rel(dir, name)
				files[filepath.ToSlash(below)] = &fstest.MapFile{Data: src}
			}
		}
		all[dir] = files
	}
	page, err := os.ReadFile("../../docs/files.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n# (\\S+)\n(.*?)^```").FindAllSubmatch(page, -1)
	all["docs/files.md"] = fstest.MapFS{}
	for _, m := range blocks {
		all["docs/files.md"][string(m[1])] = &fstest.MapFile{Data: bytes.ReplaceAll(m[2], []byte("…\n"), []byte("YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n"))}
	}
	archives, err := filepath.Glob("../../spec/testdata/bad/*.txtar")
	if err != nil || len(archives) < 50 || len(blocks) < 3 {
		t.Fatalf("%d archives, %d examples, %v", len(archives), len(blocks), err)
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files := fstest.MapFS{
			"terra.yaml":                  {Data: []byte("version: 1\nsecrets: {binding: require}\n")},
			"production/environment.yaml": {Data: []byte("dev_id: prod-app-x81LmQ\nprune: never\n")},
		}
		for _, f := range archive.Files {
			switch {
			case f.Name == "want":
			case string(f.Data) == "(absent)\n":
				delete(files, f.Name)
			default:
				files[f.Name] = &fstest.MapFile{Data: f.Data}
			}
		}
		all[filepath.Base(name)] = files
	}
	return all
}

// schemaPoint is a value in a field, alone in a file that is otherwise right.
type schemaPoint struct {
	kind, field, shape string
	src                []byte
}

// TestSchemaWalk writes values of every shape into every field of every kind
// of file.
func TestSchemaWalk(t *testing.T) {
	t.Parallel()
	all, stand := schemaPoints(t)
	chosen, _ := walk.Sample(t, all, 15_000, func(p schemaPoint) string { return p.field + " " + p.shape })
	schemas, words := schemasOf(t), providers.Vocabulary()
	accepted := map[string]bool{}
	for _, p := range chosen {
		v := judgeOne(schemas, words, p.kind, p.src)
		if text := v.disagreement(map[string]bool{}); text != "" {
			t.Errorf("%s: %s\n%s", p.field, text, p.src)
		}
		accepted[p.field] = accepted[p.field] || len(v.loader) == 0
	}
	for field, may := range stand {
		if walk.Whole() && accepted[field] != may || accepted[field] && !may {
			t.Errorf("%s: a value was accepted: %t, and the schema knows the field: %t", field, accepted[field], may)
		}
	}
	t.Logf("COUNT fields that loader and schema were asked about=%d", len(stand))
	t.Logf("COUNT values that loader and schema were asked about=%d", len(chosen))
}

// schemaPoints are all of them, and which fields may stand at all.
func schemaPoints(t *testing.T) (all []schemaPoint, stand map[string]bool) {
	t.Helper()
	files, err := schemaFiles()
	if err != nil {
		t.Fatal(err)
	}
	stand = map[string]bool{}
	for i, kind := range []struct{ name, provider string }{
		{"terra", ""}, {"environment", ""}, {"daemon", ""},
		{"connection", "strava"}, {"connection", "garmin"}, {"connection", "virtuagym"}, {"connection", "samsung"}, {"connection", "freestylelibre"}, {"connection", "acme"},
	} {
		var document map[string]any
		if err := json.Unmarshal(files[schemaFile(kind.name)], &document); err != nil {
			t.Fatal(err)
		}
		b := fieldProber{root: ofProvider(document, kind.provider), provider: kind.provider}
		for _, path := range b.fields(b.root, nil) {
			if i > 3 && !slices.Contains([]string{"credentials", "options", "setup", "domain", "webhooks"}, path[0]) {
				continue // as for every provider
			}
			field := kind.name + " " + kind.provider + " " + strings.Join(path, ".")
			stand[field] = b.schemaAt(path) != nil
			for _, value := range b.values(path) {
				all = append(all, schemaPoint{kind.name, field, shapeOf(value), []byte(b.write(b.root, path, value) + "\n")})
			}
		}
	}
	if len(stand) < 300 {
		t.Errorf("only %d fields: are these all?", len(stand))
	}
	return all, stand
}

// shapeOf is the type of a value.
func shapeOf(value string) string {
	var n yaml.Node
	if yaml.Unmarshal([]byte(value), &n) != nil || len(n.Content) == 0 {
		return ""
	}
	return n.Content[0].ShortTag()
}

// judgeOne gives the verdicts on one file in a repository that is otherwise right.
func judgeOne(schemas map[string]*jsonschema.Schema, words spec.Vocabulary, kind string, src []byte) verdict {
	name := map[string]string{"terra": "terra.yaml", "environment": "e/environment.yaml", "connection": "e/connection.yaml"}[kind]
	if name == "" {
		return judgeDaemon(schemas, src)
	}
	files := fstest.MapFS{
		"terra.yaml":             {Data: []byte("version: 1\nsecrets: {binding: require}\n")},
		"e/environment.yaml":     {Data: []byte("dev_id: prod-app-x81LmQ\nprune: never\n")},
		"_base/owner.yaml":       {Data: []byte("owner: ops@acme.example\n")},
		"other/environment.yaml": {Data: []byte("dev_id: other-app-x81LmQ\nprune: never\n")},
	}
	files[name] = &fstest.MapFile{Data: src}
	return judge(schemas, words, files)[name]
}

// ofProvider is the schema of a connection with what it says of one provider.
func ofProvider(document map[string]any, provider string) map[string]any {
	conditions, _ := document["allOf"].([]any)
	for _, one := range conditions {
		condition, _ := one.(map[string]any)
		when, _ := condition["if"].(map[string]any)
		if either, ok := when["anyOf"].([]any); ok {
			when, _ = either[0].(map[string]any)
		}
		pattern, _ := at(when, "properties", "provider", "pattern").(string)
		branch := "else"
		if pattern == "" {
			continue
		}
		if regexp.MustCompile(pattern).MatchString(provider) {
			branch = "then"
		}
		more, _ := at(condition, branch, "properties").(map[string]any)
		for name, schema := range more {
			document["properties"].(map[string]any)[name] = schema
		}
	}
	return document
}

func at(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// fieldProber writes files with one field of interest.
type fieldProber struct {
	root     map[string]any
	provider string
}

// inner is the schema of the mapping that stands in a value, or in its entries.
func inner(schema any) map[string]any {
	object, _ := schema.(map[string]any)
	if items, ok := object["items"].(map[string]any); ok {
		object = items
	}
	_, some := object["properties"]
	_, named := object["additionalProperties"].(map[string]any)
	types, _ := object["type"].([]any)
	if object["type"] != "object" && !slices.Contains(types, any("object")) || !some && !named {
		return nil
	}
	return object
}

// fields are the paths to all of them; * stands for a name of the user's own.
func (b fieldProber) fields(object map[string]any, above []string) (paths [][]string) {
	add := func(name string, schema any) {
		path := append(slices.Clone(above), name)
		paths = append(paths, path)
		if below := inner(schema); below != nil {
			paths = append(paths, b.fields(below, path)...)
		}
	}
	properties, _ := object["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		add(name, properties[name])
	}
	if others, ok := object["additionalProperties"].(map[string]any); ok {
		add("*", others)
	} else {
		add("nowhere", false)
	}
	return paths
}

// schemaAt is the schema of a field, nil where it may not stand.
func (b fieldProber) schemaAt(path []string) map[string]any {
	schema := any(b.root)
	for _, name := range path {
		object := inner(schema)
		if schema = at(object, "properties", name); schema == nil {
			schema = object["additionalProperties"]
		}
	}
	object, _ := schema.(map[string]any)
	return object
}

const armored = `!age "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n-----END AGE ENCRYPTED FILE-----\n"`

// values are of every shape, and those that the schema names.
func (b fieldProber) values(path []string) []string {
	values := []string{
		"null", "true", "false", `"true"`, "0", "1", "5", "-5", "1.5", "100", "1000000", "5000000", `"5"`, "text", "Text", "two words", `""`, `" "`, `" space"`, `"space "`, `"two\nlines"`, `"two\nlines\n"`, `"a\ttab"`, `"…"`,
		"[]", "[a]", "[a, b]", "[a, a]", "[1, 2]", "[true]", "[null]", "[[]]", "{}", "{a: b}", "{a: {}}", "[{}]", "[{a: b}]", `["**"]`, `["*", "dev-1"]`, `["*"]`, `[".."]`, `["a//b"]`, "[strava]", "[Strava, whoop]", "[sat, sun]", "[scopes]",
		"2026-12-01", "2026-12-01T10:00:00Z", "2026-12-01T10:00:00+01:00", "2026-12-01T10:00:00", "2026-13-01", "1969-12-31", `"2026-12-01"`, "26-12-01", "90d", "24h", "1h30m", "0s", "1s", "5m", "1.5h", "-5m", "+5m", "0", `"02:00"`, `"24:00"`, `"2:00"`, `"05:00"`, "32",
		"TODO", "YOUR_DEV_ID", "your-name", `"<your-id>"`, "${DEV_ID}", "$DEV_ID", "xxxx", "xxxx1234", "xxxx12345", "redacted", `"{{ a }}"`, "changeme", "CLIENT_ID", "client_id", "a...",
		"https://auth.acme.example/callback", "HTTPS://auth.acme.example", "http://auth.acme.example", "http://127.0.0.1:9000/x", "http://[::1]/x", "https://a:b@acme.example/", "https://acme.example/?q=1", "https://acme.example/#x", "https://:443/", "ssh://git@host/x", "git@host:x/y", "user:secret@host:x", "file:///srv/x", "/srv/x", "../x", "a/b", "a/../b", ".", "127.0.0.1:8080", ":8080", "host:99999", "[::1]:80", `"[::1]:80"`,
		"auth.acme.example", "Auth.acme.example", "acme", "acme.example.", `"*.acme.example"`, "Europe/London", `"*/15 * * * *"`, `"* * * *"`, `"60 * * * *"`, `"0 0 * * 7"`, `"0 9 1,15 jan-JUN mon-fri/2"`, `"CRON_TZ=Europe/London 0 9 * * *"`, `"@hourly"`, `"@dayly"`, `"@every 15m"`, `"@every 15"`, `"@every 1s"`, "strava", "STRAVA", "virtuagym", "[default]", "other", "acme_health", "Acme-1", "_x", "a b",
		"age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye", "[age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye]", "[age1yubikey1qqqqqqqqqqq]", "[age1tag1qqqqqqqqqqq]", "[age1pq1qqqqqqqqqqqq]", "[age1pq1qqqqqqqqqqqq, age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye]", "[age1pq1qqqqqqqqqqqq, age1yubikey1qqqqqqqqqqq]",
		armored, "[" + armored + "]", "!age text", `"` + strings.Repeat("x y", 100) + `"`, "[" + strings.Repeat("a, ", 300) + "b]", strings.Repeat("z", 300), strings.Repeat("z", 200), strings.Repeat("z", 64), strings.Repeat("z", 65),
		"[safe, destructive]", "[safe, all]", "{strava: {slack: {url_env: U}}}", "{slack: {url_env: U}}", "{url: https://a.example/x, secret_env: S}", "../_base/owner.yaml", "../_base/nobody.yaml", "mail.acme.example:587", "ops@acme.example", "[ops@acme.example]", "YUBIKEY", "[yubikey]", `["yubi key"]`, "{strava: https://a.example/x}", "{Strava: https://a.example/x}", "{strava: http://a.example/x}",
	}
	schema := b.schemaAt(path)
	if path[len(path)-1] == "nowhere" {
		return []string{"text", "null", "{}"}
	}
	words, _ := schema["enum"].([]any)
	if items, ok := schema["items"].(map[string]any); ok {
		words, _ = items["enum"].([]any)
	}
	for _, word := range words {
		if text, ok := word.(string); ok {
			values = append(values, text, strconv.Quote(text), "["+text+"]", strings.ToUpper(text), text+"x")
		}
	}
	if object := inner(schema); object != nil && !slices.Contains(path, "*") {
		values = append(values, b.write(object, nil, ""), "["+b.write(object, nil, "")+"]")
	} else if object != nil {
		values = append(values, b.write(object, nil, ""))
	}
	return values
}

// write gives a mapping with what it must hold, and a value under a path.
func (b fieldProber) write(object map[string]any, path []string, value string) string {
	var parts []string
	properties, _ := object["properties"].(map[string]any)
	var names []string
	required, _ := object["required"].([]any)
	for _, name := range required {
		names = append(names, name.(string))
	}
	here := ""
	if len(path) > 0 {
		here = path[0]
	}
	names = append(names, beside(properties, here)...)
	for _, name := range names {
		if name != here {
			parts = append(parts, name+": "+b.sample(properties, name))
		}
	}
	if here == "" {
		if below := inner(object["additionalProperties"]); below != nil {
			parts = append(parts, "strava: "+b.write(below, nil, ""))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	schema := properties[here]
	if here == "*" {
		schema, here = object["additionalProperties"], "strava"
	}
	if below := inner(schema); len(path) > 1 && below != nil {
		value = b.write(below, path[1:], value)
		if at(schema, "items") != nil {
			value = "[" + value + "]"
		}
	}
	return "{" + strings.Join(append(parts, here+": "+value), ", ") + "}"
}

// beside are the fields that a field needs in its mapping, or that the mapping needs
// where it is another one, beyond those that the schema requires.
func beside(properties map[string]any, field string) []string {
	has := func(name string) bool { _, ok := properties[name]; return ok }
	switch {
	case has("repos") && field != "repo" && field != "repos":
		return []string{"repo"}
	case field == "ssh_key_file":
		return []string{"known_hosts_file"}
	case field == "known_hosts_file":
		return []string{"ssh_key_file"}
	case has("password_env") && has("url"):
		return map[string][]string{"username": {"password_env"}, "password_env": {"username"}, "password_file": {"username"}}[field]
	case has("server"):
		return map[string][]string{"username": {"password_env"}, "password_env": {"username"}, "password_file": {"username"}}[field]
	case has("url_env") && strings.HasPrefix(field, "url") && has("secret_env"):
		return []string{"secret_env"}
	case has("url_env") && !strings.HasPrefix(field, "url"):
		return []string{"url_env"}
	case has("secret_env") && field != "secret_env" && field != "secret_file":
		return []string{"secret_env"}
	case has("allowed_signers") && field != "allowed_signers" && field != "gpg_keyring":
		return []string{"allowed_signers"}
	case has("token_env") && !has("username") && field != "token_env" && field != "token_file":
		return []string{"token_env"}
	case has("unknown") && field != "unknown" && at(properties[field], "pattern") != at(properties["client_secret"], "pattern"):
		return []string{"client_secret"}
	case field == "required":
		return []string{"for"}
	case has("extends") && has("provider") && field != "provider":
		return []string{"provider"}
	case has("for") && has("environment") && at(properties["environment"], "pattern") != nil:
		return slices.DeleteFunc([]string{"environment", "for"}, func(name string) bool { return name == field })
	case has("owner") && has("until"):
		return slices.DeleteFunc([]string{"owner", "reason", "until"}, func(name string) bool { return name == field })
	case field == "connection" || field == "change":
		return nil
	}
	return nil
}

// sample is a value that a field takes, in a mapping with these.
func (b fieldProber) sample(beside map[string]any, name string) string {
	if _, mail := beside["server"]; mail {
		name = "email " + name
	}
	if _, repo := beside["poll"]; repo && (name == "url" || name == "accounts") {
		name = "repo " + name
	}
	if _, after := beside["environment"]; after && name == "for" {
		name = "after for"
	}
	if _, proxy := beside["password_env"]; proxy && name == "url" {
		name = "proxy url"
	}
	if _, routes := beside["remind"]; routes && name == "receivers" {
		name = "routes receivers"
	}
	return map[string]string{
		"version": "1", "paths": `["**"]`, "age": "[age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye]",
		"dev_id": "prod-app-x81LmQ", "prune": "never", "days": "[sat]", "from": `"02:00"`, "to": `"05:00"`,
		"reason": "moved", "owner": "ops@acme.example", "until": "2026-12-01", "connection": "strava", "change": "prune",
		"provider": b.provider, "client_secret": armored, "for": "[destructive]",
		"repo": "{url: /srv/x}", "url": "/srv/x", "accounts": "{default: {token_env: T, dev_ids: [dev-1]}}", "apply": "true", "dev_ids": "[dev-1]", "token_env": "T",
		"receivers": "{strava: {slack: {url_env: U}}}", "routes": "[{receivers: [strava]}]", "routes receivers": "[strava]", "url_env": "U", "secret_env": "S",
		"email server": "mail.acme.example:587", "email from": "ops@acme.example", "email to": "[ops@acme.example]", "email username": "ops", "email password_env": "P",
		"forge": "github", "project": "acme/terra", "mode": "head", "allowed_signers": "/s",
		"repo url": "https://github.com/acme/terra", "repo accounts": "[default]", "environment": "other", "after for": "24h", "proxy url": "http://127.0.0.1:3128", "username": "ops", "password_env": "P",
		"app_id": "1", "private_key_file": "/k", "ca_file": "/c", "semver": `">=1"`, "ssh_key_file": "/k", "known_hosts_file": "/h", "cert_file": "/c", "key_file": "/k",
	}[name]
}
