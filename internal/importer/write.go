package importer

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Environment gives the environment.yaml of a new environment. It only looks: what an
// import writes is to be read before anything follows from it. account "" is the
// runner's default.
func Environment(devID, account string) string {
	text := "dev_id: " + scalar(devID) + "\n"
	if account != "" {
		text += "account: " + scalar(account) + "\n"
	}
	return text + "mode: observe # looks and never writes; take this line out to apply\nprune: never\n"
}

// File is the file of one connection.
type File struct {
	Text       string
	UnknownKey bool     // it has a key that nobody can read
	NoKeys     bool     // Terra asks for an own app, and there is none
	Left       []string // what Terra has and the file does not say, with the reason
	Open       bool     // human steps are open, which stand in it as comments
}

// Write gives the file of a connection, as of a day. What the catalogue believes to be
// impossible in an own app is left out and named; any other text that would not load is
// an error, so that all is well with what is returned.
func Write(c Connection, devID string, now time.Time) (File, error) {
	file := write(c, true)
	connection, problem := load(c.Provider, file.Text)
	if own := c.Credentials.Credential; problem != "" && own != nil {
		file = write(c, false)
		file.Left = append(file.Left, "the own app, client id "+visible.Text(own.ClientID)+": "+problem)
		connection, problem = load(c.Provider, file.Text)
	}
	if problem != "" {
		return File{}, fmt.Errorf("import %s: what Terra shows makes no file that loads: %s", c.Provider, problem)
	}
	for _, text := range file.Left {
		file.Text += "# Not in this file: " + text + "\n"
	}
	p, _ := providers.Lookup(c.Provider)
	values := p.ValuesOf(connection, devID)
	if c.Source.AuthRedirectURL != nil {
		values.AuthRedirectURL = cmp.Or(values.AuthRedirectURL, *c.Source.AuthRedirectURL)
	}
	open := p.OpenSetup(connection, values, providers.Seen{Now: now, AuthRedirectURL: values.AuthRedirectURL})
	file.Text, file.Open = file.Text+open, open != ""
	return file, nil
}

// load reads a file as the repository would, and gives why it would not take it.
func load(provider, text string) (spec.Connection, string) {
	repository, err := folder(map[string]string{
		"terra.yaml":              "version: 1\n",
		"e/environment.yaml":      "dev_id: e\nprune: never\n",
		"e/" + provider + ".yaml": text,
	})
	if err != nil {
		return spec.Connection{}, err.Error()
	}
	set, problems := spec.Load(repository, providers.Vocabulary())
	for _, p := range problems {
		if p.Severity == spec.Error {
			return spec.Connection{}, p.Message
		}
	}
	connection := set.Environments[0].Connections[0]
	if p, ok := providers.Lookup(provider); ok {
		for _, f := range p.Check(connection, providers.Seen{}) {
			if f.Severity == spec.Error {
				return connection, f.Message
			}
		}
	}
	return connection, ""
}

// folder holds files in memory, as an archive: that is the standard library's way.
func folder(files map[string]string) (fs.FS, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		file, err := w.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(file, text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
}

// write gives what a file says of a connection, without comments.
func write(c Connection, ownApp bool) (f File) {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	left := func(format string, args ...any) { f.Left = append(f.Left, fmt.Sprintf(format, args...)) }
	p, _ := providers.Lookup(c.Provider)

	line("provider: ", scalar(c.Provider))
	if !c.Source.Active {
		line("state: paused")
	}
	if c.Source.AuthVariant == "byo" && c.Type.BYOSupported {
		line("app: own")
	}
	own := c.Credentials.Credential
	switch {
	case !c.Offered:
		left("what else Terra has: it does not offer this provider any more, and shows nothing of it")
	case own == nil && c.Credentials.HasCredentials:
		left("the own app: Terra says that there is one and does not show it")
	case own == nil && c.Type.CustomerCredentialsRequired:
		f.NoKeys = true
	case own == nil || c.Credentials.TerraOwned || !ownApp:
	case own.SecretRef != nil:
		left("the own app: Terra reads its secret from a store of yours (%s)", visible.Text(own.SecretRef.Store))
	default:
		f.UnknownKey = true
		clientID, _ := p.Field(providers.ClientID)
		line("credentials:")
		line("  ", cmp.Or(clientID.Native, providers.ClientID), ": ", scalar(own.ClientID))
		line("  keys:")
		line("    - {unknown: true} # set by hand: it stays as it is until a key is added")
		if u := own.RedirectURL; u != nil && providers.TerraHost(*u) == "" {
			line("  redirect_url: ", scalar(*u))
		}
		if own.Sandbox {
			line("  sandbox: true")
		}
		if own.HasVerificationSecret {
			left("the verification secret, which Terra does not show")
		}
	}
	if c.Scopes.Customised {
		var chosen []string
		for _, s := range c.Scopes.Scopes {
			if s.Enabled && !s.Required {
				chosen = append(chosen, scalar(s.Scope))
			}
		}
		line("scopes: [", strings.Join(chosen, ", "), "]")
	}
	switch d := c.Domain; {
	case d == nil:
	case d.State == "ACTIVE" && d.Serving:
		line("domain: ", scalar(d.Hostname))
		if f.UnknownKey && inPlace(c.Webhooks) {
			line("webhooks: managed")
		} else if len(c.Webhooks) > 0 {
			left("the webhooks, which do not all follow the domain")
		}
	default:
		left("the domain %s, which does not serve: %s", visible.Text(d.Hostname), visible.Text(d.State))
	}
	f.Text = b.String()
	return f
}

// inPlace tells whether there are rows of webhooks and all are as Terra would set them.
func inPlace(rows []terra.WebhookEntry) bool {
	for _, row := range rows {
		if row.Action != "ok" {
			return false
		}
	}
	return len(rows) > 0
}

// plainText is what YAML takes for text however it is read, but for the words of
// [notText].
var plainText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*$`)
})

// notText are words that one or another version of YAML takes for something else.
func notText() []string { return []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"} }

// scalar writes a text so that YAML reads just it: quoted as JSON is, where in doubt.
func scalar(text string) string {
	isWord := plainText().MatchString(text)
	for _, word := range notText() {
		isWord = isWord && !strings.EqualFold(word, text)
	}
	if isWord {
		return text
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always can be
	return strings.TrimSuffix(b.String(), "\n")
}
