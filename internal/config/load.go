package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile bounds daemon.yaml, in bytes.
const maxFile = 1 << 20

var (
	yamlLine   = regexp.MustCompile(`^yaml: line (\d+): `)
	yamlAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// Load reads the daemon.yaml at path. Files it names by a relative path are
// relative to its own folder. getenv, usually [os.Getenv], gives the variables
// that token_env names and the defaults of [FromEnvironment]. Everything wrong
// in the file is reported at once, as an [*InvalidError].
func Load(path string, getenv func(string) string) (Config, error) {
	data, err := read(path)
	if err != nil {
		return Config{}, err
	}
	return Parse(path, data, getenv)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read configuration: %w; name the file with --config", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// Parse is [Load] on data that was read already; path stands in messages and
// its folder is what relative paths start from.
func Parse(path string, data []byte, getenv func(string) string) (Config, error) {
	d := &decoder{file: path}
	root := d.document(data)
	if root == nil {
		return Config{}, d.invalid()
	}
	c := defaults(getenv)
	var err error
	if d.base, err = baseFrom(getenv); err != nil {
		return Config{}, err
	}
	c.Repo.Auth.Settings = AuthSettings{Token: "repo.auth.token_file or token_env in " + filepath.Base(path), SSHKeyFile: "repo.auth.ssh_key_file",
		KnownHostsFile: "repo.auth.known_hosts_file in " + filepath.Base(path)}
	d.noAliases(root)
	if len(d.problems) == 0 {
		d.config(root, &c, getenv)
	}
	if len(d.problems) > 0 {
		return Config{}, d.invalid()
	}
	if err := c.resolve(filepath.Dir(path)); err != nil {
		return Config{}, err
	}
	return c, nil
}

// document returns the root of the only document, or nil after a problem.
func (d *decoder) document(data []byte) *yaml.Node {
	whole := func(format string, args ...any) *yaml.Node {
		d.problem(&yaml.Node{}, format, args...)
		return nil
	}
	if len(data) > maxFile {
		return whole("is larger than 1 MiB; is it the right file?")
	}
	decode := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decode.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return whole("is empty; it needs at least repo, accounts and apply")
	case err != nil:
		return d.syntax(data, err)
	}
	switch err := decode.Decode(&second); {
	case err == nil:
		d.problem(&second, "a second document begins here; keep one")
		return nil
	case !errors.Is(err, io.EOF):
		return d.syntax(data, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Value == "" {
		return whole("is empty; it needs at least repo, accounts and apply")
	}
	return doc.Content[0]
}

// syntax reports what the YAML reader could not read. It knows no column, and of an
// alias only the name, which may be what somebody forgot to put in quotes.
func (d *decoder) syntax(data []byte, err error) *yaml.Node {
	at := &yaml.Node{Line: 1, Column: 1}
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	if m := yamlAnchor.FindStringSubmatch(text); m != nil {
		before, _, _ := strings.Cut(string(data), "*"+m[1])
		line := before[strings.LastIndexByte(before, '\n')+1:]
		d.problem(&yaml.Node{Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(line)},
			"aliases (*) are not allowed here; write the value out, or put it in quotes")
		return nil
	}
	d.problem(at, "is not YAML: %s", strings.TrimPrefix(text, "yaml: "))
	return nil
}

func (d *decoder) config(n *yaml.Node, c *Config, getenv func(string) string) {
	seen := d.mapping("", n, map[string]field{
		"repo":           func(where string, n *yaml.Node) { d.repo(where, n, &c.Repo, getenv) },
		"accounts":       func(where string, n *yaml.Node) { d.accounts(where, n, c.Accounts, getenv) },
		"identities":     func(where string, n *yaml.Node) { d.identities(where, n, &c.Identities) },
		"probes":         func(where string, n *yaml.Node) { c.Probes = d.probes(where, n) },
		"state_dir":      d.text(&c.StateDir),
		"listen":         d.text(&c.Listen, checkListen),
		"environments":   d.someOf(&c.Environments),
		"apply":          d.boolean(&c.Apply),
		"cycle_deadline": d.duration(&c.CycleDeadline, time.Second, longestCycle),
		"log": func(where string, n *yaml.Node) {
			d.mapping(where, n, map[string]field{
				"format": d.text(&c.Log.Format, oneOf("json", "text")),
				"level":  d.text(&c.Log.Level, oneOf("debug", "info", "warn", "error")),
			})
		},
	})
	if n.Kind != yaml.MappingNode {
		return
	}
	d.require(n, "", seen, "repo", "accounts")
	if !slices.Contains(seen, "apply") {
		d.problem(n, "apply is missing; say apply: true to change Terra, or apply: false to only watch")
	}
}

func (d *decoder) repo(where string, n *yaml.Node, r *Repo, getenv func(string) string) {
	seen := d.mapping(where, n, map[string]field{
		"url":  d.text(&r.URL, checkRepoURL),
		"ref":  d.text(&r.Ref),
		"path": d.text(&r.Path, checkRepoPath),
		"poll": d.duration(&r.Poll, time.Second, longestPoll),
		"auth": func(where string, n *yaml.Node) { d.repoAuth(where, n, &r.Auth, getenv) },
	})
	d.require(n, where, seen, "url")
}

func (d *decoder) repoAuth(where string, n *yaml.Node, a *RepoAuth, getenv func(string) string) {
	fields := d.secret(&a.Token, getenv)
	fields["username"] = d.text(&a.Username)
	fields["ssh_key_file"] = d.text(&a.SSHKeyFile)
	fields["known_hosts_file"] = d.text(&a.KnownHostsFile)
	seen := d.mapping(where, n, fields)
	d.oneSecret(n, where, seen, false)
	if slices.Contains(seen, "ssh_key_file") != slices.Contains(seen, "known_hosts_file") {
		d.problem(n, "%s needs ssh_key_file and known_hosts_file together", where)
	}
}

func (d *decoder) accounts(where string, n *yaml.Node, accounts map[string]Account, getenv func(string) string) {
	d.pairs(where, n, func(key, value *yaml.Node) {
		if !accountName.MatchString(key.Value) {
			d.problem(key, "%q is not an account name; use a-z, 0-9, - and _", key.Value)
		}
		a := Account{BaseURL: d.base}
		where := join(where, key.Value)
		fields := d.secret(&a.Token, getenv)
		fields["base_url"] = func(where string, n *yaml.Node) {
			d.text(&a.BaseURL, func(text string) error { _, err := checkBaseURL(text); return err })(where, n)
			a.BaseURL = strings.TrimRight(a.BaseURL, "/")
		}
		fields["dev_ids"] = d.list(&a.DevIDs, checkDevID)
		fields["redirect_hosts"] = d.list(&a.RedirectHosts, checkRedirectHost)
		seen := d.mapping(where, value, fields)
		d.oneSecret(value, where, seen, true)
		d.devIDs(value, where, seen, a.DevIDs)
		accounts[key.Value] = a
	})
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		d.problem(n, "%s is empty; name at least one account", where)
	}
}

func (d *decoder) devIDs(n *yaml.Node, where string, seen []string, ids []string) {
	switch {
	case n.Kind != yaml.MappingNode:
	case !slices.Contains(seen, "dev_ids"):
		d.problem(n, `%s.dev_ids is missing; list the dev-ids this account may touch, or ["*"] for all`, where)
	case slices.Contains(ids, AnyDevID) && len(ids) > 1:
		d.problem(n, `%s.dev_ids names "*" beside others; keep one or the other`, where)
	case ids != nil && len(ids) == 0:
		d.problem(n, `%s.dev_ids is empty; list the dev-ids this account may touch, or ["*"] for all`, where)
	}
}

func (d *decoder) identities(where string, n *yaml.Node, ids *Identities) {
	*ids = Identities{}
	d.mapping(where, n, map[string]field{
		"files":         d.list(&ids.Files),
		"allow_plugins": d.list(&ids.AllowPlugins, checkName(pluginName, "the name of a plugin, as in yubikey")),
	})
}

func (d *decoder) probes(where string, n *yaml.Node) map[string]string {
	probes := map[string]string{}
	d.pairs(where, n, func(key, value *yaml.Node) {
		if !providerName.MatchString(key.Value) {
			d.problem(key, "%q is not the name of a provider; write it as `reconcile providers` shows it", key.Value)
		}
		var address string
		d.text(&address, checkProbeURL)(join(where, key.Value), value)
		probes[key.Value] = address
	})
	return probes
}
