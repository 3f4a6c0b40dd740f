package terratest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// The words of package emulator, so that a test imports one package.
type (
	Config             = emulator.Config
	Reading            = emulator.Reading
	Rate               = emulator.Rate
	Token              = emulator.Token
	EnvironmentOptions = emulator.EnvironmentOptions
	Credential         = emulator.Credential
	SecretRef          = emulator.SecretRef
	SourceType         = emulator.SourceType
	WebhookRow         = emulator.WebhookRow
	Call               = emulator.Call
	Fault              = emulator.Fault
	Kind               = emulator.Kind
	Snapshot           = emulator.Snapshot
	LiveSource         = emulator.LiveSource
)

// The kinds of faults; package emulator says what each does.
const (
	Always               = emulator.Always
	Latency              = emulator.Latency
	Status429            = emulator.Status429
	Status500            = emulator.Status500
	Status503            = emulator.Status503
	Problem              = emulator.Problem
	PlainNotFound        = emulator.PlainNotFound
	Empty200             = emulator.Empty200
	HTMLPage             = emulator.HTMLPage
	Redirect             = emulator.Redirect
	Hang                 = emulator.Hang
	ConnectionReset      = emulator.ConnectionReset
	LostAnswer           = emulator.LostAnswer
	BrokenJSON           = emulator.BrokenJSON
	HalfPage             = emulator.HalfPage
	HasMoreWithoutCursor = emulator.HasMoreWithoutCursor
	MissingEntries       = emulator.MissingEntries
	IgnoreDryRun         = emulator.IgnoreDryRun
)

// Switches are the other ways in which the contract can be read where it is silent.
func Switches() []emulator.Switch { return emulator.Switches() }

// BaseURL is for clients that use RoundTripper: no such host exists.
const BaseURL = emulator.BaseURL

// DaemonScopes are the scopes terra-reconcile asks for.
func DaemonScopes() []string { return emulator.DaemonScopes() }

// Mask is how Terra shows a secret.
func Mask(secret string) string { return emulator.Mask(secret) }

// Server is an emulator whose exchanges are judged.
type Server struct{ *emulator.Server }

// New returns the emulator of an empty account. Unless the Config brings its own
// Contract, exchanges are judged by the contract of package terra. Call Watch or
// Start, or read Violations, to learn of what broke it.
func New(c Config) *Server {
	if c.Contract == nil {
		c.Contract = sharedContract()
	}
	return &Server{emulator.New(c)}
}

// Watch fails t, at its end, for each violation of the contract.
func (s *Server) Watch(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		for _, v := range s.Violations() {
			t.Errorf("contract violated: %s", v)
		}
	})
}

// Start serves the emulator on loopback until t ends and returns the base URL. It
// watches for violations.
//
// Beware: net/http itself repeats a request that carries an Idempotency-Key when
// a connection it had used before drops, so LostAnswer and ConnectionReset may be
// met twice. RoundTripper repeats nothing.
func (s *Server) Start(t testing.TB) string {
	t.Helper()
	s.Watch(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewUnstartedServer(s)
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Start()
	t.Cleanup(func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL + emulator.BasePath
}

var _ http.Handler = (*Server)(nil)
