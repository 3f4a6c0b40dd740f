package gitsource

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// TestWhatAServerSaysIsOneBoundedLine: text of a git server reaches a message as one short
// line, without anything that a terminal or a reader takes for something else.
func TestWhatAServerSaysIsOneBoundedLine(t *testing.T) {
	hostile := "\r\nnot here\x1b[2J\x9b31m\u202egnp.exe\x00\xff " + strings.Repeat("ä\u200b", 100_000) + "\nERROR all is well"
	moved := stayHome(
		&http.Request{URL: &url.URL{Scheme: "https", Host: "other.example", Path: "/" + hostile + infoRefs}},
		[]*http.Request{{URL: &url.URL{Scheme: "https", Host: "git.example"}}})
	for name, err := range map[string]error{
		"a refusal in the protocol":   broken(&pktline.ErrorLine{Text: hostile}),
		"an answer that is no answer": broken(errors.New(hostile)),
		"standard error of ssh":       explainSilence(hostile),
		"a refusal over ssh":          explainSilence("denied " + strings.TrimSpace(hostile)),
		"a handshake":                 (&handshakeFailure{}).explain(errors.New(hostile)),
		"a redirect":                  moved,
	} {
		t.Run(name, func(t *testing.T) {
			text := err.Error()
			if n := len([]rune(text)); n > 400 {
				t.Errorf("it has %d characters", n)
			}
			if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.Contains(text, "all is well") {
				t.Errorf("%q", text)
			}
		})
	}
}
