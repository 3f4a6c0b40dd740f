package terra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
)

// proof is what one server showed one token about dry_run.
type proof struct {
	asked atomic.Int64  // how often the server was asked
	turn  chan struct{} // held while the server is asked, and to use the rest

	state proofState
	err   error // why the last question showed nothing
}

type proofState int

const (
	unasked proofState = iota
	honoured
	ignored
)

// lock waits for the proof's turn.
func (p *proof) lock(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *proof) unlock() { <-p.turn }

// ProveDryRun asks the server to pause or resume s as it already is, with
// dry_run=true: if the flag is ignored, nothing changes. s must have been read
// just now. nil means that the server honours the flag; it is asked once per
// base URL and token, however many callers there are, and a server that ignored
// the flag is not asked again. Every other outcome is a *DryRunUnprovenError: all
// who waited for it share it, and a later call asks again. An answer that cannot be
// read is such an outcome.
func (c *Client) ProveDryRun(ctx context.Context, devID string, s Source) error {
	p, err := c.proof()
	if err != nil {
		return &DryRunUnprovenError{Tried: true, Err: err}
	}
	before := p.asked.Load()
	if err := p.lock(ctx); err != nil {
		return &DryRunUnprovenError{Err: err}
	}
	defer p.unlock()
	if p.state == unasked && (p.asked.Load() == before || p.err == nil) {
		p.state, p.err = c.askDryRun(ctx, devID, s)
		p.asked.Add(1)
		if p.err != nil && ctx.Err() != nil {
			err, p.err = p.err, nil // this caller left; the next one asks itself
			return &DryRunUnprovenError{Tried: true, Err: err}
		}
	}
	if p.state == honoured {
		return nil
	}
	return &DryRunUnprovenError{Tried: true, Err: p.err}
}

func (c *Client) askDryRun(ctx context.Context, devID string, s Source) (proofState, error) {
	k := call{op: updateSource(), devID: devID, provider: s.Provider, dryRun: true}
	k.body = plainBody(SourceUpdate{Active: &s.Active})
	k.op.does = "send a change that changes nothing to"
	a, err := c.do(ctx, k)
	if err != nil {
		return unasked, err
	}
	if a.dryRun(k) {
		return honoured, nil
	}
	if _, err := a.document(k); err != nil && a.status == http.StatusOK {
		return unasked, err // a page of a proxy, half an answer: it says nothing about the server
	}
	return ignored, nil
}

// CompareCredentials asks whether Terra already holds the one field that patch
// gives, by a PATCH with dry_run=true. It needs a successful ProveDryRun for this
// base URL and token, else it is a *DryRunUnprovenError and nothing is sent.
//
// Terra does not promise that a preview of credentials says `noop` when nothing would
// change. So once per base URL, token and provider it is calibrated: a preview of
// visibleID, the client id that Terra shows right now, must say so. Where it does not,
// or where visibleID is "" and nothing was calibrated yet, the comparison is a
// *PreviewSilentError.
//
// An answer that does not say dry_run is a *MayHaveWrittenError; from then on no
// comparison is sent to that server.
func (c *Client) CompareCredentials(ctx context.Context, devID, provider, visibleID string, patch CredentialPatch) (equal bool, err error) {
	fields := patch.fields()
	names := fields.names()
	op := updateSourceCredentials()
	if len(names) != 1 {
		return false, fmt.Errorf("%s: a comparison takes exactly one field, got %d", op.step(), len(names))
	}
	if _, err := fields.body(); err != nil {
		return false, fmt.Errorf("%s: %w", op.step(), err)
	}
	p, err := c.proof()
	if err != nil {
		return false, err
	}
	if err := p.check(ctx); err != nil {
		return false, err
	}
	if err := c.calibrate(ctx, p, devID, provider, visibleID); err != nil {
		return false, err
	}
	return c.preview(ctx, p, devID, provider, fields)
}

// TakesCredentials tells whether Terra has an own app here, by what it answers to a preview
// of a client id: it takes a patch of credentials only where there are some. It needs a
// successful ProveDryRun, and fails as CompareCredentials does.
func (c *Client) TakesCredentials(ctx context.Context, devID, provider, clientID string) (bool, error) {
	p, err := c.proof()
	if err != nil {
		return false, err
	}
	if err := p.check(ctx); err != nil {
		return false, err
	}
	_, err = c.preview(ctx, p, devID, provider, CredentialPatch{ClientID: &clientID}.fields())
	if IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// calibrate makes sure that a preview which would change nothing says so.
func (c *Client) calibrate(ctx context.Context, p *proof, devID, provider, visibleID string) error {
	token, err := c.tokens.current()
	if err != nil {
		return err
	}
	shown := c.limits.preview(c.base, token, provider)
	if err := shown.lock(ctx); err != nil {
		return err
	}
	defer shown.unlock()
	if shown.state == unasked && visibleID != "" {
		says, err := c.preview(ctx, p, devID, provider, CredentialPatch{ClientID: &visibleID}.fields())
		var wrote *MayHaveWrittenError
		if errors.As(err, &wrote) {
			return &DryRunUnprovenError{Tried: true} // it wrote what was there
		}
		if err != nil {
			return err
		}
		if shown.state = ignored; says {
			shown.state = honoured
		}
	}
	if shown.state != honoured {
		return &PreviewSilentError{DevID: devID, Provider: provider, Tried: shown.state == ignored}
	}
	return nil
}

// preview sends one field with dry_run=true and reports whether nothing would change.
func (c *Client) preview(ctx context.Context, p *proof, devID, provider string, fields credentialFields) (nothing bool, err error) {
	name := fields.names()[0]
	body, err := fields.body()
	if err != nil {
		return false, err
	}
	defer clear(body)
	k := call{op: updateSourceCredentials(), devID: devID, provider: provider, dryRun: true, body: body, secrets: fields.secrets()}
	k.op.does = "compare " + name + " of"
	a, err := c.do(ctx, k)
	if err != nil {
		return false, err
	}
	if !a.dryRun(k) {
		p.distrust()
		return false, &MayHaveWrittenError{DevID: devID, Provider: provider, Field: name}
	}
	result, err := decode[DryRunResult](k, a)
	if err != nil {
		return false, err
	}
	if result.Would == "" {
		return false, k.bad(a.status, "would: empty")
	}
	return result.Would == wouldNothing, nil
}

// wouldNothing is what a dry run says when nothing would change.
const wouldNothing = "noop"

func (c *Client) proof() (*proof, error) {
	token, err := c.tokens.current()
	if err != nil {
		return nil, err
	}
	return c.limits.proof(c.base, token), nil
}

func (p *proof) check(ctx context.Context) error {
	if err := p.lock(ctx); err != nil {
		return &DryRunUnprovenError{Err: err}
	}
	defer p.unlock()
	if p.state != honoured {
		return &DryRunUnprovenError{Tried: p.state == ignored}
	}
	return nil
}

// distrust withdraws the proof.
func (p *proof) distrust() {
	p.turn <- struct{}{}
	defer p.unlock()
	p.state = ignored
}

// dryRun reports whether the answer says that it was a dry run: 200 and a JSON
// object whose dry_run is true. Anything else may have been a write.
func (a answer) dryRun(k call) bool {
	document, err := a.document(k)
	if err != nil || a.status != http.StatusOK {
		return false
	}
	var result struct {
		DryRun bool `json:"dry_run"`
	}
	return json.Unmarshal(document, &result) == nil && result.DryRun
}
