package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

const maxDocument = 256 << 20 // bytes of a report that Decode reads

// JSON writes r as one indented document with a final newline. Lists are never
// null; active_users is null when nobody counted. The desired side of a secret
// shows its key number only, or, where it has none, the SHA-256 of its sealed
// form. What a terminal could take for a command stands as a \u escape.
func JSON(w io.Writer, r Report) error {
	r.Warnings, r.Remediations, r.MissingScopes = warnings(r.Warnings), notNil(r.Remediations), notNil(r.MissingScopes)
	r.Environments = slices.Clone(notNil(r.Environments))
	for i, e := range r.Environments {
		e = complete(e)
		for j := range e.Changes {
			e.Changes[j] = e.Changes[j].takeSealed()
		}
		r.Environments[i] = e
	}
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	r.Digest = ""
	if r.Mode == DryRun {
		r.Digest = noDigest
	}
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	text := EscapeJSON(document.Bytes())
	if r.Mode == DryRun {
		at := bytes.LastIndex(text, []byte(noDigest)) // it is the last field
		sum := sha256.Sum256(text)
		copy(text[at:], digestPrefix+hex.EncodeToString(sum[:]))
	}
	_, err := w.Write(text)
	return err
}

// noDigest stands in a document while its digest is taken.
const (
	digestPrefix = "sha256:"
	noDigest     = digestPrefix + "0000000000000000000000000000000000000000000000000000000000000000"
)

// EscapeJSON gives a JSON document in which what visible hides, or a pipeline takes for a
// command, stands as a \u escape. Outside of strings JSON has only printable ASCII, space and newline.
func EscapeJSON(document []byte) []byte {
	out := make([]byte, 0, len(document))
	for _, r := range visible.WithoutMarks(string(document)) {
		if r == '\n' || !visible.Hides(r) {
			out = append(out, string(r)...)
			continue
		}
		out = append(out, escapedUTF16(r)...)
	}
	return out
}

// Decode reads a report that JSON has written. It refuses another schema, an
// unknown field and anything after the document.
func Decode(source io.Reader) (Report, error) {
	decoder := json.NewDecoder(io.LimitReader(source, maxDocument))
	decoder.DisallowUnknownFields()
	var r Report
	if err := decoder.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	if r.Schema != Schema {
		return Report{}, fmt.Errorf("read report: its schema is %q, this reconcile reads %q", r.Schema, Schema)
	}
	if decoder.More() {
		return Report{}, fmt.Errorf("read report: something follows the document")
	}
	r.Digest = ""
	for _, e := range r.Environments {
		for i := range e.Changes {
			e.Changes[i] = e.Changes[i].putSealed()
		}
	}
	return r, nil
}
