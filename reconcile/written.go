package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// written collects what comparisons may have written on a server that does not
// honour dry_run. Comparisons run side by side, so there can be several, and one
// without an answer counts once another has shown what the server does.
type written struct {
	mu      sync.Mutex
	fields  []string
	unclear []string
}

// wroteError says which fields a dry run may have written.
type wroteError struct {
	fields []string
	err    error
}

func (e *wroteError) Error() string {
	if len(e.fields) < 2 {
		return e.err.Error()
	}
	return e.err.Error() + "; all that may have been written: " + strings.Join(e.fields, ", ")
}

func (e *wroteError) Unwrap() error { return e.err }

// compared takes note of how a comparison of one field ended.
func (w *written) compared(provider, field string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := provider + "/" + field
	var problem *terra.Problem
	var connection *terra.ConnectionError
	var bad *terra.BadAnswerError
	switch {
	case mayHaveWritten(err) != "":
		w.fields = append(w.fields, name)
	case errors.As(err, &connection), errors.As(err, &bad), errors.As(err, &problem) && problem.Status >= 500:
		w.unclear = append(w.unclear, name)
	}
}

// orElse gives the error to report: what may have been written, else err.
func (w *written) orElse(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if mayHaveWritten(err) == "" && len(w.fields) == 0 {
		return err
	}
	fields := append(slices.Clone(w.fields), w.unclear...)
	if name := mayHaveWritten(err); name != "" {
		fields = append(fields, name)
	}
	slices.Sort(fields)
	return &wroteError{slices.Compact(fields), err}
}

// mayHaveWritten names the field that a comparison may have written, "" for none.
func mayHaveWritten(err error) string {
	var wrote *terra.MayHaveWrittenError
	if !errors.As(err, &wrote) {
		return ""
	}
	return wrote.Provider + "/" + wrote.Field
}

// compareAt asks Terra about one field. A comparison that has left is answered
// even when the run ends, because its answer tells whether it was a write.
func (o *observer) compareAt(ctx context.Context, provider, field string, patch terra.CredentialPatch) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	ctx, cancel := graceful(ctx)
	defer cancel()
	equal, err := o.client.CompareCredentials(ctx, o.env.DevID, provider, patch)
	o.wrote.compared(provider, field, err)
	return equal, err
}
