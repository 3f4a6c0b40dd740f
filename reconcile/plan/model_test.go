package plan

import "maps"

// terraAfter is what Terra shows once these changes have been applied to it.
func terraAfter(in facts, p Plan, applied map[string]bool) map[string]Observed {
	live := maps.Clone(in.Observed)
	for _, c := range p.Changes {
		if !applied[c.ID] {
			continue
		}
		if c.Action == Disable {
			delete(live, c.Provider)
			continue
		}
		o, isLive := live[c.Provider]
		if (c.Action == SetDomain || c.Action == ReleaseDomain) && !isLive {
			continue // see domainsAfter
		}
		if c.Action == Enable {
			domain := domainsAfter(in, p, applied)[c.Provider]
			o = Observed{Active: true, Variant: "standard", Credentials: &Credentials{}, Domain: &domain, Webhooks: &Webhooks{},
				Scopes: &Scopes{Offered: []string{"a", "b", "c"}}}
		}
		live[c.Provider] = written(o, desiredOf(in, c.Provider), c)
	}
	return live
}

// domainsAfter are the domains of what was not live.
func domainsAfter(in facts, p Plan, applied map[string]bool) map[string]Domain {
	domains := map[string]Domain{}
	maps.Copy(domains, in.Domains)
	for _, c := range p.Changes {
		if _, isLive := in.Observed[c.Provider]; isLive || !applied[c.ID] {
			continue
		}
		switch c.Action {
		case SetDomain:
			domains[c.Provider] = Domain{Hostname: desiredOf(in, c.Provider).Domain.Value, Live: true}
		case ReleaseDomain:
			delete(domains, c.Provider)
		}
	}
	return domains
}

func written(o Observed, d Desired, c Change) Observed {
	switch c.Action {
	case Pause:
		o.Active = false
	case Resume:
		o.Active = true
	case SetApp:
		o.Variant = "standard"
		if d.App.Mode == Given && d.App.Value == "own" {
			o.Variant = "byo"
		}
		if o.Credentials != nil {
			keys := *o.Credentials
			keys.TerraOwned = o.Variant == "standard"
			o.Credentials = &keys
		}
	case SetDomain:
		o.Domain = &Domain{Hostname: d.Domain.Value, Live: true}
	case ReleaseDomain:
		o.Domain = &Domain{}
	case SetScopes, ResetScopes:
		scopes := *o.Scopes
		scopes.Customised = c.Action == SetScopes
		scopes.Enabled = sorted(append(c.Fields[0].To.List, scopes.Required...))
		o.Scopes = &scopes
	case ApplyWebhooks:
		o.Webhooks = &Webhooks{}
	case SetCredentials, UpdateCredentials, RotateSecret:
		keys := *o.Credentials
		if c.Action == SetCredentials {
			keys = Credentials{Set: true}
		}
		for _, f := range c.Fields {
			keys = writtenKey(keys, &o, f)
		}
		o.Credentials = &keys
	}
	return o
}

func writtenKey(keys Credentials, o *Observed, f FieldChange) Credentials {
	switch f.Field {
	case FieldClientID:
		keys.ClientID = *f.To.Value
	case FieldClientSecret:
		o.Secret = Comparison{Result: Equal, Asked: true, LiveKey: f.To.Key}
	case FieldSecretRef:
		keys.SecretRef = false
	case FieldRedirectURL:
		keys.RedirectURL = f.To.Value
	case FieldVerificationSecret:
		keys.HasVerification = !f.To.Default
		o.Verification = Comparison{Result: Equal}
	case FieldSandbox:
		keys.Sandbox = f.To.Value != nil && *f.To.Value == "true"
	}
	return keys
}
