package terra

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func source() Source { return Source{Provider: "strava", Active: true, AuthVariant: "standard"} }

// dryRunServer honours dry_run for the proof; comparisons get compare.
func dryRunServer(compare func() (*http.Response, error)) *fakeServer {
	return &fakeServer{answer: func(_ int, r *http.Request, body string) (*http.Response, error) {
		if strings.Contains(body, "client_secret") {
			return compare()
		}
		return replyJSON(dryRunJSON), nil
	}}
}

func secretPatch() CredentialPatch { return CredentialPatch{ClientSecret: secret("s3cret-value")} }

func TestProofOnTheWire(t *testing.T) {
	server := always(200, mediaJSON, dryRunJSON)
	c := newClient(t, server, readOnly)
	if err := c.ProveDryRun(t.Context(), "dev-1", source()); err != nil {
		t.Fatal(err)
	}
	if equal, err := c.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch()); !equal || err != nil {
		t.Errorf("compare: %v, %v", equal, err)
	}
	want := []seen{
		{method: "PATCH", target: "/api/v3/admin" + one + "?dry_run=true", body: `{"active":true}`},
		{method: "PATCH", target: "/api/v3/admin" + one + "/credentials?dry_run=true", body: `{"client_id":"42"}`},
		{method: "PATCH", target: "/api/v3/admin" + one + "/credentials?dry_run=true", body: `{"client_secret":"s3cret-value"}`},
	}
	judge := contractJudge(t)
	for i, got := range server.requests() {
		if got.method != want[i].method || got.target != want[i].target || got.body != want[i].body || got.header.Get("Idempotency-Key") != "" {
			t.Errorf("sent %s %s %s", got.method, got.target, got.body)
		}
		judge(t, got, 200, dryRunJSON)
	}
}

func TestComparisonNeedsTheProof(t *testing.T) {
	server := always(200, mediaJSON, dryRunJSON)
	limits := NewLimits()
	prover := newClient(t, server, func(o *Options) { o.Limits = limits })
	others := map[string]*Client{
		"another token":    newClient(t, server, func(o *Options) { o.Limits, o.Token = limits, func() (string, error) { return "terra_at_other", nil } }),
		"another base URL": newClient(t, server, func(o *Options) { o.Limits, o.BaseURL = limits, "https://other.test" }),
		"other limits":     newClient(t, server),
	}
	var unproven *DryRunUnprovenError
	if _, err := prover.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch()); !errors.As(err, &unproven) || unproven.Tried || len(server.requests()) != 0 {
		t.Fatalf("before the proof: %v after %d requests", err, len(server.requests()))
	}
	if err := prover.ProveDryRun(t.Context(), "dev-1", source()); err != nil {
		t.Fatal(err)
	}
	for name, c := range others {
		if _, err := c.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch()); !as[*DryRunUnprovenError](err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	shared := newClient(t, server, readOnly, func(o *Options) { o.Limits = limits })
	if equal, err := shared.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch()); !equal || err != nil {
		t.Errorf("a client that shares limits: %v, %v", equal, err)
	}
	if n := len(server.requests()); n != 3 {
		t.Errorf("%d requests, want the proof, the calibration and one comparison", n)
	}
}

func TestServerThatIgnoresDryRun(t *testing.T) {
	for name, answer := range map[string]*http.Response{
		"the source":     replyJSON(sourceJSON),
		"false":          replyJSON(`{"dry_run":false,"would":"noop"}`),
		"text":           replyJSON(`{"dry_run":"true","would":"noop"}`),
		"204":            reply(204, "", ""),
		"202":            reply(202, mediaJSON, dryRunJSON),
		"a list of them": replyJSON("[" + dryRunJSON + "]"),
	} {
		server := inTurn(with(answer))
		c := newClient(t, server)
		for range 3 {
			var unproven *DryRunUnprovenError
			err := c.ProveDryRun(t.Context(), "dev-1", source())
			if !errors.As(err, &unproven) || unproven.Err != nil || !unproven.Tried {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := c.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch()); !as[*DryRunUnprovenError](err) {
			t.Errorf("%s: comparison: %v", name, err)
		}
		if n := len(server.requests()); n != 1 {
			t.Errorf("%s: %d requests, want 1", name, n)
		}
	}
}

func TestProofThatTellsNothingIsAskedAgain(t *testing.T) {
	server := inTurn(with(replyProblem(403, CodeScopeMissing)), with(replyJSON(dryRunJSON)))
	c := newClient(t, server)
	err := c.ProveDryRun(t.Context(), "dev-1", source())
	if !as[*DryRunUnprovenError](err) || !HasCode(err, CodeScopeMissing) || !strings.Contains(err.Error(), "providers:write") {
		t.Errorf("error %v", err)
	}
	if err := c.ProveDryRun(t.Context(), "dev-1", source()); err != nil {
		t.Errorf("second proof: %v", err)
	}
}

// TestUnreadableProofIsAskedAgain: a page of a proxy in the place of an answer says
// nothing about the server, so it proves nothing and is no reason to ask never again.
func TestUnreadableProofIsAskedAgain(t *testing.T) {
	for name, answer := range map[string]*http.Response{
		"empty":    replyJSON(``),
		"broken":   replyJSON(`{"dry_run":true,`),
		"not JSON": reply(200, "text/html", dryRunJSON),
	} {
		server := inTurn(with(answer), with(replyJSON(dryRunJSON)))
		c := newClient(t, server)
		if err := c.ProveDryRun(t.Context(), "dev-1", source()); !as[*DryRunUnprovenError](err) || !as[*BadAnswerError](err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch()); !as[*DryRunUnprovenError](err) || len(server.requests()) != 1 {
			t.Errorf("%s: a secret was sent on an unreadable proof: %v", name, err)
		}
		if err := c.ProveDryRun(t.Context(), "dev-1", source()); err != nil {
			t.Errorf("%s: it is not asked again: %v", name, err)
		}
	}
}

func TestWaitersShareOneProof(t *testing.T) {
	for name, test := range map[string]struct {
		answer *http.Response
		ok     bool
	}{
		"honoured": {replyJSON(dryRunJSON), true},
		"refused":  {replyProblem(403, CodeScopeMissing), false},
	} {
		t.Run(name, func(t *testing.T) {
			answer := with(test.answer)
			server := &fakeServer{answer: func(int, *http.Request, string) (*http.Response, error) {
				time.Sleep(time.Second)
				return answer()
			}}
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, server)
				var wg sync.WaitGroup
				for range 40 {
					wg.Go(func() {
						if err := c.ProveDryRun(t.Context(), "dev-1", source()); (err == nil) != test.ok {
							t.Error(err)
						}
					})
				}
				wg.Wait()
			})
			if n := len(server.requests()); n != 1 {
				t.Errorf("%d proofs were sent, want 1", n)
			}
		})
	}
}

func TestProverThatLeavesDoesNotSpoilTheProof(t *testing.T) {
	server := &fakeServer{answer: func(n int, r *http.Request, _ string) (*http.Response, error) {
		if n == 0 {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return replyJSON(dryRunJSON), nil
	}}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, server)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.ProveDryRun(ctx, "dev-1", source()); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who left: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if err := c.ProveDryRun(t.Context(), "dev-1", source()); err != nil {
				t.Errorf("the one who waited: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestComparison(t *testing.T) {
	type want struct {
		equal bool
		check func(error) bool
	}
	for name, test := range map[string]struct {
		answer func() (*http.Response, error)
		want   want
	}{
		"noop":         {with(replyJSON(dryRunJSON)), want{true, nil}},
		"update":       {with(replyJSON(`{"dry_run":true,"would":"update","preview":{}}`)), want{false, nil}},
		"no would":     {with(replyJSON(`{"dry_run":true,"preview":{}}`)), want{false, as[*BadAnswerError]}},
		"empty would":  {with(replyJSON(`{"dry_run":true,"would":"","preview":{}}`)), want{false, as[*BadAnswerError]}},
		"refused":      {with(replyProblem(422, CodeUnsupportedOperation)), want{false, as[*Problem]}},
		"lost":         {failing(lostAnswer()), want{false, as[*ConnectionError]}},
		"real answer":  {with(replyJSON(credentialsJSON)), want{false, as[*MayHaveWrittenError]}},
		"dry_run gone": {with(replyJSON(`{"would":"noop"}`)), want{false, as[*MayHaveWrittenError]}},
		"empty 200":    {with(replyJSON(``)), want{false, as[*MayHaveWrittenError]}},
		"204":          {with(reply(204, "", "")), want{false, as[*MayHaveWrittenError]}},
	} {
		t.Run(name, func(t *testing.T) {
			server := dryRunServer(test.answer)
			var equal bool
			var err error
			took(t, func(t *testing.T) {
				c := newClient(t, server)
				if err := c.ProveDryRun(t.Context(), "dev-1", source()); err != nil {
					t.Fatal(err)
				}
				equal, err = c.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch())
				before := len(server.requests())
				if _, again := c.CompareCredentials(t.Context(), "dev-1", "strava", "42", secretPatch()); as[*MayHaveWrittenError](err) {
					if !as[*DryRunUnprovenError](again) || len(server.requests()) != before {
						t.Errorf("after it, a comparison was sent: %v", again)
					}
				}
			})
			if equal != test.want.equal || test.want.check == nil && err != nil || test.want.check != nil && !test.want.check(err) {
				t.Errorf("equal %v, error %v", equal, err)
			}
			var written *MayHaveWrittenError
			if errors.As(err, &written) && *written != (MayHaveWrittenError{"dev-1", "strava", "client_secret"}) {
				t.Errorf("%+v", written)
			}
		})
	}
}

// TestPreviewsAreCalibrated: `noop` is not promised for credentials, so it is believed
// only where a preview of the client id that Terra shows says so, once for a provider.
func TestPreviewsAreCalibrated(t *testing.T) {
	silent := true
	server := &fakeServer{answer: func(_ int, r *http.Request, body string) (*http.Response, error) {
		if silent && strings.Contains(r.URL.Path, "/credentials") {
			return replyJSON(`{"dry_run":true,"would":"update","preview":{}}`), nil
		}
		return replyJSON(dryRunJSON), nil
	}}
	limits := NewLimits()
	client := func() *Client { return newClient(t, server, func(o *Options) { o.Limits = limits }) }
	if err := client().ProveDryRun(t.Context(), "dev-1", source()); err != nil {
		t.Fatal(err)
	}
	compare := func(devID, provider, id string) error {
		_, err := client().CompareCredentials(t.Context(), devID, provider, id, secretPatch())
		return err
	}
	var unshown *PreviewSilentError
	if err := compare("dev-1", "strava", ""); !errors.As(err, &unshown) || unshown.Tried || len(server.requests()) != 1 {
		t.Errorf("without a visible client id: %v in %d requests", err, len(server.requests()))
	}
	for range 3 {
		if err := compare("dev-1", "strava", "42"); !errors.As(err, &unshown) || !unshown.Tried {
			t.Errorf("a silent server: %v", err)
		}
	}
	if n := len(server.requests()); n != 2 {
		t.Errorf("%d requests, want the proof and one calibration: no secret", n)
	}
	silent = false
	if err := compare("dev-1", "STRAVA", "42"); !as[*PreviewSilentError](err) {
		t.Errorf("it was calibrated again: %v", err)
	}
	for i, call := range [][3]string{{"dev-1", "whoop", "7"}, {"dev-2", "Whoop", "8"}, {"dev-3", "whoop", ""}} {
		if err := compare(call[0], call[1], call[2]); err != nil || len(server.requests()) != 4+i {
			t.Errorf("%v: %v in %d requests, want %d", call, err, len(server.requests()), 4+i)
		}
	}
}

// TestCalibrationThatFailsIsTriedAgain: a refusal says nothing about previews.
func TestCalibrationThatFailsIsTriedAgain(t *testing.T) {
	refuse := true
	server := &fakeServer{answer: func(_ int, r *http.Request, _ string) (*http.Response, error) {
		if refuse && strings.Contains(r.URL.Path, "/credentials") {
			return replyProblem(422, CodeCredentialsRejected), nil
		}
		return replyJSON(dryRunJSON), nil
	}}
	c := newClient(t, server)
	if err := c.ProveDryRun(t.Context(), "dev-1", source()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CompareCredentials(t.Context(), "dev-1", "garmin", "42", secretPatch()); !HasCode(err, CodeCredentialsRejected) {
		t.Errorf("refused: %v", err)
	}
	refuse = false
	if equal, err := c.CompareCredentials(t.Context(), "dev-1", "garmin", "42", secretPatch()); !equal || err != nil {
		t.Errorf("later: %v, %v", equal, err)
	}
}

func TestComparisonTakesOneField(t *testing.T) {
	server := always(200, mediaJSON, dryRunJSON)
	c := newClient(t, server)
	for _, patch := range []CredentialPatch{{}, {ClientID: ptr("1"), ClientSecret: secret("x")}, {RedirectURL: To("")}} {
		if _, err := c.CompareCredentials(t.Context(), "dev-1", "strava", "42", patch); err == nil || as[*DryRunUnprovenError](err) {
			t.Errorf("%v: %v", patch, err)
		}
	}
}
