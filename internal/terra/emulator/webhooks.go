package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// WebhookRow is one row of a Garmin app as Garmin holds it.
type WebhookRow struct {
	URL        string `json:"url"`
	Enabled    bool   `json:"enabled"`
	OnHold     bool   `json:"on_hold"`
	UploadType string `json:"upload_type"` // empty: none
}

// garminApp is an app in Garmin's developer portal.
type garminApp struct {
	Rows        map[string]WebhookRow `json:"rows"` // by row id
	LockedUntil time.Time             `json:"locked_until,omitzero"`
}

// garminRows are the rows Terra manages: id and last part of the target.
func garminRows() [][2]string {
	return [][2]string{
		{"activitiesUrl", "activities"},
		{"activityDetailsUrl", "activityDetails"},
		{"bodyCompsUrl", "bodyComps"},
		{"dailiesUrl", "dailies"},
		{"deregistrationsUrl", "deregistrations"},
		{"epochsUrl", "epochs"},
		{"pulseoxUrl", "pulseox"},
		{"sleepsUrl", "sleeps"},
		{"stressDetailsUrl", "stressDetails"},
		{"userMetricsUrl", "userMetrics"},
	}
}

func redirectHost(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// review reads the rows of the Garmin apps that are saved for the environment, its own
// first.
func (s *Server) review(q *request) (terra.WebhookEndpoints, []string, *refusal) {
	none := terra.WebhookEndpoints{}
	if _, r := s.target(q); r != nil {
		return none, nil, r
	}
	if q.provider != "garmin" {
		return none, nil, unsupported("Terra manages no webhook endpoints of %s.", q.provider)
	}
	t, src, r := s.listed(q)
	if r != nil {
		return none, nil, r
	}
	if !s.ownInUse(t, src) {
		return none, nil, refuse(http.StatusNotFound, "not_found", "No Garmin credentials are set.")
	}
	host := redirectHost(src.Credential.RedirectURL)
	if d, ok := s.account.Domains[host]; !ok || d.Provider != q.provider || !s.live(d) {
		return none, nil, unsupported("The redirect is not on a custom domain that serves.")
	}
	if r := s.checkPair(q.provider, src.Credential.ClientID, s.secretOf(src.Credential)); r != nil {
		return none, nil, r
	}
	out := terra.WebhookEndpoints{Provider: q.provider, Host: host, Entries: []terra.WebhookEntry{}}
	apps := append([]string{src.Credential.ClientID}, src.MoreApps...)
	for _, id := range apps {
		s.garminApp(id).review(id, s.now(), &out)
	}
	sum := sha256.Sum256(encode(out.Entries))
	out.Fingerprint = hex.EncodeToString(sum[:8])
	return out, apps, nil
}

// garminApp is the app of a client id, an empty one where nothing was set in it.
func (s *Server) garminApp(clientID string) *garminApp {
	if app, ok := s.account.Apps[clientID]; ok {
		return app
	}
	return &garminApp{Rows: map[string]WebhookRow{}}
}

func (a *garminApp) review(appID string, now time.Time, out *terra.WebhookEndpoints) {
	out.Locked = out.Locked || now.Before(a.LockedUntil)
	for _, row := range garminRows() {
		current := a.Rows[row[0]]
		e := terra.WebhookEntry{
			AppID: appID, ID: row[0], Target: "https://" + out.Host + "/hooks/garmin/push/" + row[1],
			Current: terra.WebhookCurrent{URL: current.URL, Enabled: current.Enabled, OnHold: current.OnHold},
		}
		if current.UploadType != "" {
			e.Current.UploadType = &current.UploadType
		}
		switch {
		case current.URL == "":
			e.Action = "set"
		case current.URL != e.Target:
			e.Action, out.HasExisting = "restore", true
		case current.UploadType != "push":
			e.Action = "retype"
		case !current.Enabled || current.OnHold:
			e.Action = "enable"
		default:
			e.Action = "ok"
		}
		out.Entries = append(out.Entries, e)
	}
}

func (s *Server) getWebhooks(q *request) (answer, *refusal) {
	view, _, r := s.review(q)
	if r != nil {
		return answer{}, r
	}
	fingerprint := view.Fingerprint
	view.Entries = shuffle(s, view.Entries)
	a := reply(http.StatusOK, view)
	a.header.Set("ETag", `"`+fingerprint+`"`)
	return a, nil
}

func (s *Server) applyWebhooks(q *request) (change, *refusal) {
	view, apps, r := s.review(q)
	if r != nil {
		return change{}, r
	}
	reviewed, acknowledged, r := reviewedFingerprint(q)
	switch {
	case r != nil:
		return change{}, r
	case view.Locked:
		return change{}, refuse(http.StatusConflict, "not_ready", "Garmin accepts no change for some minutes after a save.")
	case reviewed != view.Fingerprint:
		return change{}, refuse(http.StatusPreconditionFailed, "precondition_failed", "The endpoints changed since they were reviewed.")
	case view.HasExisting && !acknowledged:
		return change{}, invalid("acknowledge_replacing_existing: must be true, other endpoints would be replaced")
	}
	result := terra.AppliedWebhookEndpoints{Provider: q.provider, AppliedAppIDs: []string{}}
	if !slices.ContainsFunc(view.Entries, func(e terra.WebhookEntry) bool { return e.Action != "ok" }) {
		return change{would: noop, status: http.StatusOK, result: result}, nil
	}
	for _, id := range apps {
		if slices.ContainsFunc(view.Entries, func(e terra.WebhookEntry) bool { return e.AppID == id && e.Action != "ok" }) {
			result.AppliedAppIDs = append(result.AppliedAppIDs, id)
		}
	}
	c := change{would: "apply", status: http.StatusAccepted, result: result}
	written := result.AppliedAppIDs
	if s.applyFails != nil && !q.dryRun && *s.applyFails < len(written) {
		written = written[:*s.applyFails]
		c.fails = refuse(http.StatusServiceUnavailable, "dependency_failed", "Garmin could not be reached.")
		c.fails.appliedApps = written
	}
	c.commit = func() {
		s.applyFails = nil
		for _, id := range written {
			app := s.garminApp(id)
			for _, e := range view.Entries {
				if e.AppID == id {
					app.Rows[e.ID] = WebhookRow{URL: e.Target, Enabled: true, UploadType: "push"}
				}
			}
			app.LockedUntil = s.now().Add(s.config.WebhookLock)
			s.account.Apps[id] = app
		}
	}
	return c, nil
}

// reviewedFingerprint reads it from the body or from If-Match; both must agree.
func reviewedFingerprint(q *request) (fingerprint string, acknowledged bool, r *refusal) {
	f, r := readFields(q.http.Header, q.body, "fingerprint", "acknowledge_replacing_existing")
	if r != nil {
		return "", false, r
	}
	if v := f.filled("fingerprint"); v != nil {
		fingerprint = *v
	}
	if v := f.flag("acknowledge_replacing_existing"); v != nil {
		acknowledged = *v
	}
	if match := strings.Trim(q.http.Header.Get("If-Match"), `"`); match != "" {
		if fingerprint != "" && fingerprint != match {
			f.fail("fingerprint", "is not the one in If-Match")
		}
		fingerprint = match
	}
	if fingerprint == "" && len(f.errs) == 0 {
		f.fail("fingerprint", "is required, here or in If-Match")
	}
	return fingerprint, acknowledged, f.refusal()
}
