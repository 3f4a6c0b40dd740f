package config

import (
	"cmp"
	"errors"
	"net/mail"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// Notify is who is told what happens.
type Notify struct {
	// Receivers are sorted by name. daemon.yaml: notify.receivers, at least one.
	Receivers []Receiver
	// Routes choose what goes where. daemon.yaml: notify.routes, at least one.
	Routes []Route
}

// Receiver is to whom or what messages go.
type Receiver struct {
	Name string
	// Form is webhook, slack, teams, ntfy or email: the field that names the rest.
	Form string
	// URL is where a webhook goes, https, or http on the loopback interface; "" where
	// Address says so.
	URL string
	// Address is where the URL is kept that is a secret itself. daemon.yaml: url_file or
	// url_env of the form.
	Address Secret
	// Secret signs a webhook (secret_file, secret_env), or signs in to ntfy (token_file,
	// token_env) or the mail server (password_file, password_env). It may be unset but for
	// a webhook.
	Secret Secret
	// Server is host:port of the mail server, Username is with which it signs in, "" where
	// it does not; From and To are mail addresses. daemon.yaml: fields of email.
	Server, Username, From string
	To                     []string
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// Target reads where messages go by HTTP.
func (r Receiver) Target() (string, error) {
	if r.URL != "" {
		return r.URL, nil
	}
	return r.Address.Read()
}

// Check refuses a file of a receiver that another user of the machine can read, at the place
// of daemon.yaml that names it. nil has none.
func (n *Notify) Check() error {
	if n == nil {
		return nil
	}
	for _, r := range n.Receivers {
		if err := r.unread(); err != nil {
			return err
		}
	}
	return nil
}

// unread refuses a file of a receiver that another user of the machine can read.
func (r Receiver) unread() error {
	for _, secret := range []Secret{r.Address, r.Secret} {
		if file := secret.File(); file != "" {
			if err := neighbour.Unread("file of a receiver", file); err != nil {
				return problemAt(r.At, err)
			}
		}
	}
	return nil
}

// Route chooses what goes to some receivers. An empty list chooses all.
type Route struct {
	Events       []string      // daemon.yaml: events
	Severities   []string      // info, warning, critical; daemon.yaml: severity
	Environments []string      // names, in which * stands for any part; daemon.yaml: environments
	Owners       []string      // as the files say; daemon.yaml: owners
	Receivers    []string      // names of Receivers, at least one
	Remind       time.Duration // 0: never; daemon.yaml: remind, default 24h
	// EnvironmentsAt is where daemon.yaml names Environments, for messages.
	EnvironmentsAt yamlpos.Origin
}

// Unmatched says of each entry of environments of a route that it matches none of these names,
// and where it stands. Without names, and of nil, it says nothing: nobody knows them yet.
func (n *Notify) Unmatched(names []string) (out []Problem) {
	if n == nil || len(names) == 0 {
		return nil
	}
	for _, r := range n.Routes {
		for _, pattern := range r.Environments {
			matches := func(name string) bool {
				matched, err := path.Match(pattern, name)
				return err == nil && matched
			}
			if !slices.ContainsFunc(names, matches) {
				out = append(out, Problem{Origin: r.EnvironmentsAt, Message: "notify.routes names the environment " + yamlpos.Quoted(pattern) + ", and none is called so",
					Hint: cmp.Or(yamlpos.DidYouMean(pattern, names), "there is "+yamlpos.Listed(names))})
			}
		}
	}
	return out
}

// DefaultRemind is after how long receivers hear again of what lasts.
const DefaultRemind = 24 * time.Hour

func (r *reader) notify(o yamlpos.Object) *Notify {
	block, ok := o.Object("notify")
	if !ok {
		return nil
	}
	block.Require()
	out := &Notify{}
	all, members := r.named(block, "receivers")
	if all.Node != nil && len(members) == 0 {
		r.report(all.At(), "name at least one", "notify.receivers is empty")
	}
	var names []string
	for _, m := range members {
		if !accountName().MatchString(m.Name) {
			r.report(m.Origin, "use a-z, 0-9, - and _", "%q is not a name here", m.Name)
		}
		names = append(names, m.Name)
		if one, ok := all.Inner(m.Value, all.Name(m.Name), "notify.receivers.*"); ok {
			out.Receivers = append(out.Receivers, r.receiver(one, m))
		}
	}
	slices.SortFunc(out.Receivers, func(a, b Receiver) int { return cmp.Compare(a.Name, b.Name) })
	if n := block.Get("routes"); n != nil && n.Kind == yamlpos.List && len(n.Items) == 0 {
		r.report(n.Origin, block.Declared("routes").Ask, "notify.routes is empty")
	}
	used := map[string]bool{}
	for _, one := range block.Objects("routes") {
		route := r.route(one)
		for _, name := range route.Receivers {
			if used[name] = true; !slices.Contains(names, name) {
				r.report(one.Get("receivers").Origin, cmp.Or(yamlpos.DidYouMean(name, names), "known here: "+yamlpos.Listed(names)), "%s.receivers names %s, and no receiver is called so", one.Path, yamlpos.Quoted(name))
			}
		}
		out.Routes = append(out.Routes, route)
	}
	for _, m := range members {
		if !used[m.Name] && len(out.Routes) > 0 {
			r.report(m.Origin, "name it in one, or take it out", "no route goes to the receiver %s", yamlpos.Quoted(m.Name))
		}
	}
	return out
}

func (r *reader) receiver(o yamlpos.Object, m yamlpos.Member) Receiver {
	out := Receiver{Name: m.Name, At: m.Origin}
	var forms []string
	for _, form := range o.Schema.Fields.Names("notify.receivers.*") {
		if o.Has(form) {
			forms = append(forms, form)
		}
	}
	if len(forms) != 1 {
		r.report(o.At(), "write exactly one of "+yamlpos.Listed(o.Schema.Fields.Names("notify.receivers.*")), "%s says in %d ways how it is told", o.Path, len(forms))
		return out
	}
	out.Form = forms[0]
	one, ok := o.Object(out.Form)
	if !ok {
		return out
	}
	one.Require()
	missing := func(name, says string) {
		if !one.Has(name+"_file") && !one.Has(name+"_env") {
			r.report(one.At(), "set "+name+"_file or "+name+"_env", "%s %s", one.Path, says)
		}
	}
	switch out.Form {
	case "webhook":
		out.URL = r.text(one, "url", func(text string) error {
			_, err := checkAddress(text, "the secret", "https://hooks.example/terra")
			return err
		})
		out.Address, out.Secret = r.secretOf(one, "url"), r.secretOf(one, "secret")
		missing("secret", "has no secret to sign with")
		if given := one.Has("url_file") || one.Has("url_env"); given == one.Has("url") {
			r.report(one.At(), "set one of url, url_file and url_env", "%s does not say once where it is", one.Path)
		}
	case "email":
		out.Server, out.Username, out.From, out.To = r.text(one, "server"), r.text(one, "username"), r.text(one, "from", checkMail), r.texts(one, "to")
		out.Secret = r.secretOf(one, "password")
		if password := one.Has("password_file") || one.Has("password_env"); password != one.Has("username") {
			r.report(one.At(), "", "%s needs username and password_file or password_env together", one.Path)
		}
	default:
		out.Address = r.secretOf(one, "url")
		missing("url", "has no address")
		if out.Form == "ntfy" {
			out.Secret = r.secretOf(one, "token")
		}
	}
	return out
}

func checkMail(text string) error {
	if a, err := mail.ParseAddress(text); err != nil || a.Address != text || strings.ContainsAny(text, "\r\n") {
		return errors.New("is not " + mailSays)
	}
	return nil
}

func (r *reader) route(o yamlpos.Object) Route {
	o.Require()
	at := o.At()
	if n := o.Get("environments"); n != nil {
		at = n.Origin
	}
	return Route{
		EnvironmentsAt: at, Events: r.texts(o, "events"), Severities: r.texts(o, "severity"), Environments: r.texts(o, "environments"), Owners: r.texts(o, "owners"),
		Receivers: r.texts(o, "receivers"), Remind: r.duration(o, "remind", DefaultRemind),
	}
}
