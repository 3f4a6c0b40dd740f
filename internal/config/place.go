package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// secret is the pair of fields that say where a token is kept.
func (d *decoder) secret(dst *Secret, getenv func(string) string) map[string]field {
	return map[string]field{
		"token_file": func(where string, n *yaml.Node) {
			var path string
			d.text(&path)(where, n)
			*dst = FileSecret(path)
		},
		"token_env": func(where string, n *yaml.Node) {
			var name string
			d.text(&name, checkName(variableName, "the name of an environment variable (not the token itself)"))(where, n)
			*dst = EnvSecret(name, getenv)
		},
	}
}

// oneSecret wants at most one of the two fields, or exactly one.
func (d *decoder) oneSecret(n *yaml.Node, where string, seen []string, required bool) {
	file, env := slices.Contains(seen, "token_file"), slices.Contains(seen, "token_env")
	switch {
	case n.Kind != yaml.MappingNode:
	case file && env:
		d.problem(n, "%s has token_file and token_env; keep one", where)
	case required && !file && !env:
		d.problem(n, "%s has no token; set token_file or token_env", where)
	}
}

func (d *decoder) require(n *yaml.Node, where string, seen []string, names ...string) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for _, name := range names {
		if !slices.Contains(seen, name) {
			d.problem(n, "%s is missing", join(where, name))
		}
	}
}

// resolve makes the relative paths of the file absolute, starting from its folder.
func (c *Config) resolve(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the folder of the configuration: %w", err)
	}
	at := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	for name, account := range c.Accounts {
		at(&account.Token.file)
		c.Accounts[name] = account
	}
	at(&c.Repo.Auth.Token.file)
	at(&c.Repo.Auth.SSHKeyFile)
	at(&c.Repo.Auth.KnownHostsFile)
	at(&c.StateDir)
	for i := range c.Identities.Files {
		at(&c.Identities.Files[i])
	}
	if !strings.Contains(c.Repo.URL, ":") { // which URLs and git@host:path hold
		at(&c.Repo.URL)
	}
	return nil
}
