package emulator

import "slices"

// Behind Terra stand DNS, the data providers and the customer's secret stores.
// These methods act on them.

// SetDomain gives a source a custom domain that serves already.
func (s *Server) SetDomain(devID, provider, host string) {
	s.edit("SetDomain", devID, provider, func(src *source) {
		d := &domain{Provider: provider, Claimed: s.now()}
		s.serve(d)
		s.account.use(src.Domain, host)
		s.account.Domains[host] = d
		src.Domain = host
	})
}

// PublishDNS publishes the A record of a claimed hostname. It does not serve yet.
func (s *Server) PublishDNS(host string) {
	s.change(func() { s.mustDomain("PublishDNS", host).Resolved = terraIP })
}

// Serve finishes the provisioning of a claimed hostname.
func (s *Server) Serve(host string) {
	s.change(func() { s.serve(s.mustDomain("Serve", host)) })
}

// FailDomain makes a hostname FAILED: it does not serve.
func (s *Server) FailDomain(host, reason string) {
	s.change(func() {
		d := s.mustDomain("FailDomain", host)
		d.State, d.Reason, d.Serving = failed, reason, false
	})
}

// TakeHostname gives a hostname to another account.
func (s *Server) TakeHostname(host string) {
	s.change(func() { s.account.Foreign = append(s.account.Foreign, host) })
}

// SetDomainCheck says whether Terra can check custom domains at all; if not, a
// redirect on one is 503.
func (s *Server) SetDomainCheck(works bool) {
	s.change(func() { s.account.DomainsDown = !works })
}

// SetSecretStore gives the customer a store that secret_ref may name. Unreachable
// stores answer nothing.
func (s *Server) SetSecretStore(store string, fields map[string]string, reachable bool) {
	s.change(func() {
		s.account.Stores[store] = &secretStore{Fields: fields, Unreachable: !reachable}
	})
}

// SetWebhookRow edits a row of a Garmin app in Garmin's portal.
func (s *Server) SetWebhookRow(clientID, row string, r WebhookRow) {
	s.change(func() {
		if !slices.ContainsFunc(garminRows(), func(known [2]string) bool { return known[0] == row }) {
			misuse("SetWebhookRow", "unknown row %q", row)
		}
		app := s.account.Apps[clientID]
		if app == nil {
			app = &garminApp{Rows: map[string]WebhookRow{}}
			s.account.Apps[clientID] = app
		}
		app.Rows[row] = r
	})
}

// LockWebhooks makes Garmin refuse saves as after a save.
func (s *Server) LockWebhooks(clientID string) {
	s.change(func() {
		app := s.account.Apps[clientID]
		if app == nil {
			app = &garminApp{Rows: map[string]WebhookRow{}}
			s.account.Apps[clientID] = app
		}
		app.LockedUntil = s.now().Add(s.config.WebhookLock)
	})
}

func (s *Server) mustDomain(method, host string) *domain {
	d, ok := s.account.Domains[host]
	if !ok {
		misuse(method, "no source claimed %q", host)
	}
	return d
}
