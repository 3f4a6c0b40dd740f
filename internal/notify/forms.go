package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// document is a message as JSON, in which nothing acts where it is shown.
func document(m Message) ([]byte, error) {
	body, err := json.Marshal(m)
	return report.EscapeJSON(body), err
}

// The headers of a signed webhook, those of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"

	secretPrefix = "whsec_" // of one that is written in base64
)

// sign sets the headers that prove who sent a body and when: the signature is
// HMAC-SHA256 of id, time and body with dots between.
func sign(header http.Header, id string, at time.Time, body []byte, secret string) error {
	key := []byte(secret)
	if text, coded := strings.CutPrefix(secret, secretPrefix); coded {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return fmt.Errorf("its secret begins with %s and is not base64 behind that", secretPrefix)
		}
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	header.Set(headerID, id)
	header.Set(headerTimestamp, stamp)
	header.Set(headerSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// room cuts the lines of a message to so many bytes.
func room(m Message, bytes int) string {
	text := strings.Join(lines(m), "\n")
	if len(text) <= bytes {
		return text
	}
	cut := strings.ToValidUTF8(text[:bytes-len("\n…")], "")
	return cut[:max(0, strings.LastIndexByte(cut, '\n'))] + "\n…"
}

// slackBody is what an incoming webhook of Slack takes. What stands in plain_text is never
// read as markup, a link or a mention; text, which a notification shows, is escaped as
// https://docs.slack.dev/messaging/formatting-message-text says.
func slackBody(m Message) ([]byte, error) {
	type text struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type block struct {
		Type string `json:"type"`
		Text text   `json:"text"`
	}
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return json.Marshal(struct {
		Text        string  `json:"text"`
		Markup      bool    `json:"mrkdwn"`
		LinkNames   bool    `json:"link_names"`
		UnfurlLinks bool    `json:"unfurl_links"`
		Blocks      []block `json:"blocks"`
	}{Text: escape.Replace(m.Title), Blocks: []block{
		{"section", text{"plain_text", m.Title}},
		{"section", text{"plain_text", room(m, 2900)}},
	}})
}

// teamsBody is what a workflow of Teams takes: an adaptive card, whose text runs read no
// Markdown (https://adaptivecards.io/explorer/TextRun.html).
func teamsBody(m Message) ([]byte, error) {
	type run struct {
		Type   string `json:"type"`
		Text   string `json:"text"`
		Weight string `json:"weight,omitempty"`
	}
	type block struct {
		Type string `json:"type"`
		Runs []run  `json:"inlines"`
	}
	type card struct {
		Type    string  `json:"type"`
		Schema  string  `json:"$schema"`
		Version string  `json:"version"`
		Body    []block `json:"body"`
	}
	type attachment struct {
		Type    string `json:"contentType"`
		Content card   `json:"content"`
	}
	body := []block{{"RichTextBlock", []run{{"TextRun", m.Title, "bolder"}}}}
	for line := range strings.SplitSeq(room(m, 20<<10), "\n") {
		body = append(body, block{"RichTextBlock", []run{{"TextRun", line, ""}}})
	}
	return json.Marshal(struct {
		Type        string       `json:"type"`
		Attachments []attachment `json:"attachments"`
	}{"message", []attachment{{"application/vnd.microsoft.card.adaptive", card{"AdaptiveCard", "http://adaptivecards.io/schemas/adaptive-card.json", "1.4", body}}}})
}

// ntfyBody is what ntfy takes at the address of the server
// (https://docs.ntfy.sh/publish/#publish-as-json).
func ntfyBody(topic string, m Message) ([]byte, error) {
	priority := map[report.Severity]int{report.Info: 2, report.Alert: 3, report.Critical: 5}[m.Severity]
	if m.Phase == Ended || m.Phase == Gone {
		priority = 2
	}
	return json.Marshal(struct {
		Topic    string `json:"topic"`
		Title    string `json:"title"`
		Message  string `json:"message"`
		Priority int    `json:"priority"`
	}{topic, m.Title, room(m, 3900), priority})
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
