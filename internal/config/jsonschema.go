package config

import (
	"maps"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// JSONSchema returns the JSON Schema (2020-12) of daemon.yaml. What Parse accepts matches
// it. Not everything that matches is accepted: a schema does not calculate, and does not
// see how a value is written.
func JSONSchema() ([]byte, error) {
	together := func(a, b string) *yamlpos.JSONSchema {
		return &yamlpos.JSONSchema{If: &yamlpos.JSONSchema{AnyOf: []*yamlpos.JSONSchema{yamlpos.Having(a), yamlpos.Having(b)}}, Then: yamlpos.Having(a, b)}
	}
	one := yamlpos.Refuse(yamlpos.Having("token_file", "token_env"))
	some := &yamlpos.JSONSchema{AnyOf: []*yamlpos.JSONSchema{yamlpos.Having("token_file"), yamlpos.Having("token_env")}}
	oneOf := func(name string) *yamlpos.JSONSchema {
		return yamlpos.Refuse(yamlpos.Having(name+"_file", name+"_env"))
	}
	someOf := func(name string, others ...string) *yamlpos.JSONSchema {
		out := &yamlpos.JSONSchema{AnyOf: []*yamlpos.JSONSchema{yamlpos.Having(name + "_file"), yamlpos.Having(name + "_env")}}
		for _, other := range others {
			out.AnyOf = append(out.AnyOf, yamlpos.Having(other))
		}
		return out
	}
	several := 2
	also := map[string][]*yamlpos.JSONSchema{
		"":                           append(append(webIsProtected(), isProtected("preview"), signsInBySomething(some, "repo")), oneOrSeveral()...),
		"preview":                    {one, some},
		"web.read":                   {one, some},
		"web.approve":                {one, some},
		"repo.auth":                  {one, together("ssh_key_file", "known_hosts_file"), appAlone()},
		"repo":                       overHTTPS(),
		"repo.proxy":                 {{If: &yamlpos.JSONSchema{Types: []string{"object"}}, Then: oneOf("password")}, {If: yamlpos.Having("username"), Then: someOf("password")}, {If: someOf("password"), Then: yamlpos.Having("username")}},
		"repo.hook":                  {oneOf("secret"), someOf("secret")},
		"repo.verify":                {{AnyOf: []*yamlpos.JSONSchema{yamlpos.Having("allowed_signers"), yamlpos.Having("gpg_keyring")}}},
		"accounts.*":                 {one, some, anyDevIDAlone()},
		"notify_commit":              append(forge(), one),
		"approvals.people.*":         {one, some},
		"notify.receivers.*":         onlyForm(),
		"notify.receivers.*.webhook": {oneOf("url"), oneOf("secret"), someOf("secret"), someOf("url", "url"), yamlpos.Refuse(yamlpos.Having("url", "url_file")), yamlpos.Refuse(yamlpos.Having("url", "url_env"))},
		"notify.receivers.*.slack":   {oneOf("url"), someOf("url")},
		"notify.receivers.*.teams":   {oneOf("url"), someOf("url")},
		"notify.receivers.*.ntfy":    {oneOf("url"), someOf("url"), oneOf("token")},
		"notify.receivers.*.email":   {oneOf("password")},
		"approvals": {{
			If:   &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "required", Schema: &yamlpos.JSONSchema{Types: []string{"integer"}, Minimum: &several}}}, Required: []string{"required"}},
			Then: &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "for", Schema: &yamlpos.JSONSchema{MinItems: 1}}}, Required: []string{"for"}},
		}},
	}
	for block, schemas := range maps.Clone(also) {
		if under := ofEach(block); under != "" {
			also[under] = schemas
		}
	}
	also["repos.*"] = append(slices.Clone(also["repos.*"]), signsInBySomething(some))
	s := fields().JSON("", yamlpos.JSONOptions{Also: also})
	s.Title = "daemon.yaml, the runner's own configuration of terra-reconcile"
	return s.Text()
}

// oneOrSeveral wants one repository or several, and beside several nothing that is each one's.
func oneOrSeveral() []*yamlpos.JSONSchema {
	out := []*yamlpos.JSONSchema{{AnyOf: []*yamlpos.JSONSchema{yamlpos.Having("repo"), yamlpos.Having("repos")}}}
	for _, field := range []string{"repo", "environments", "preview", "notify_commit"} {
		out = append(out, yamlpos.Refuse(yamlpos.Having("repos", field)))
	}
	return out
}

// anyDevIDAlone refuses * beside others.
func anyDevIDAlone() *yamlpos.JSONSchema {
	star := &yamlpos.JSONSchema{Types: []string{"array"}, MinItems: 2, Contains: &yamlpos.JSONSchema{Enum: yamlpos.Literals([]string{AnyDevID})}}
	return yamlpos.Refuse(&yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "dev_ids", Schema: star}}, Required: []string{"dev_ids"}})
}

// isProtected wants tls beside a block where other machines reach listen.
func isProtected(block string) *yamlpos.JSONSchema {
	plain := &yamlpos.JSONSchema{Required: []string{block}, Not: yamlpos.Having("tls")}
	return &yamlpos.JSONSchema{If: plain, Then: listensHere()}
}

func listensHere() *yamlpos.JSONSchema {
	here := &yamlpos.JSONSchema{Types: []string{"string"}, Pattern: loopbackListen().String()}
	return &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "listen", Schema: here}}}
}

// inside is a schema of what stands in a block, which has to be there.
func inside(block string, s *yamlpos.JSONSchema) *yamlpos.JSONSchema {
	return &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: block, Schema: s}}, Required: []string{block}}
}

// webIsProtected wants tls and a token that reads beside web where other machines reach
// listen, and one token that approves only where nobody has one of their own.
func webIsProtected() []*yamlpos.JSONSchema {
	several := 2
	unread := inside("web", &yamlpos.JSONSchema{Not: yamlpos.Having("read")})
	people := inside("approvals", inside("people", &yamlpos.JSONSchema{MinProperties: 1}))
	required := inside("approvals", inside("required", &yamlpos.JSONSchema{Types: []string{"integer"}, Minimum: &several}))
	return []*yamlpos.JSONSchema{
		isProtected("web"),
		{If: unread, Then: listensHere()},
		{If: inside("web", yamlpos.Having("approve")), Then: yamlpos.Refuse(&yamlpos.JSONSchema{AnyOf: []*yamlpos.JSONSchema{people, required}})},
	}
}

// signsInBySomething wants a token of commit statuses, or an app that gives one.
func signsInBySomething(token *yamlpos.JSONSchema, repo ...string) *yamlpos.JSONSchema {
	without := inside("notify_commit", &yamlpos.JSONSchema{Not: token})
	app := inside("auth", yamlpos.Having("github_app"))
	for _, block := range repo { // under which the repository stands
		app = inside(block, app)
	}
	return &yamlpos.JSONSchema{If: without, Then: &yamlpos.JSONSchema{AllOf: []*yamlpos.JSONSchema{app, inside("notify_commit", yamlpos.Among("forge", "github"))}}}
}

// overHTTPS wants an address of a repository that fits how it is reached, and as whom.
func overHTTPS() []*yamlpos.JSONSchema {
	address := func(pattern string) *yamlpos.JSONSchema {
		return &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "url", Schema: &yamlpos.JSONSchema{Pattern: pattern}}}}
	}
	app := inside("auth", yamlpos.Having("github_app"))
	way := &yamlpos.JSONSchema{AnyOf: []*yamlpos.JSONSchema{yamlpos.Having("proxy"), yamlpos.Having("tls"), app}}
	hub := inside("auth", inside("github_app", &yamlpos.JSONSchema{Not: yamlpos.Having("url")}))
	const scheme = `^[Hh][Tt][Tt][Pp][Ss]?://`
	return []*yamlpos.JSONSchema{
		{If: way, Then: address(scheme)},
		{If: app, Then: address(scheme + `[^/]+/+[^/]+/[^/]+/*$`)},
		{If: hub, Then: address(scheme + `[Gg][Ii][Tt][Hh][Uu][Bb]\.[Cc][Oo][Mm](:[0-9]*)?/`)},
	}
}

// appAlone wants nothing else that signs in beside an app.
func appAlone() *yamlpos.JSONSchema {
	out := &yamlpos.JSONSchema{}
	for _, other := range []string{"token_file", "token_env", "username", "ssh_key_file", "known_hosts_file"} {
		out.AllOf = append(out.AllOf, yamlpos.Refuse(yamlpos.Having("github_app", other)))
	}
	return out
}

// forge asks for the address of a forge that everybody runs themselves, and for an owner
// where a forge has no groups.
func forge() []*yamlpos.JSONSchema {
	is := func(names ...string) *yamlpos.JSONSchema {
		return &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "forge", Schema: &yamlpos.JSONSchema{Enum: yamlpos.Literals(names)}}}, Required: []string{"forge"}}
	}
	owned := &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "project", Schema: &yamlpos.JSONSchema{Pattern: `^[^/]+/[^/]+$`}}}}
	return []*yamlpos.JSONSchema{{If: is("gitea", "forgejo"), Then: yamlpos.Having("url")}, {If: is("github", "gitea", "forgejo"), Then: owned}}
}

// onlyForm wants one way in which a receiver is told.
func onlyForm() []*yamlpos.JSONSchema {
	out := []*yamlpos.JSONSchema{{MinProperties: 1}}
	forms := fields().Names("notify.receivers.*")
	for i, a := range forms {
		for _, b := range forms[i+1:] {
			out = append(out, yamlpos.Refuse(yamlpos.Having(a, b)))
		}
	}
	return out
}
