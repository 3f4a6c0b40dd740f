package terra

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestHostileGuesses lets who commits put six characters into what is sent openly and the
// server say it again: whether they stand in a secret must not show.
func TestHostileGuesses(t *testing.T) {
	t.Parallel()
	const hidden = "706f5e1a2b3c4d5e6f708192a3b4c5d6e7f80910"
	const right, wrong = "706f5e", "706f50"
	same := func(s string) string { return s }
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	for _, c := range []struct {
		attack string
		sent   string // with %s for the guess
		said   func(sent string) string
	}{
		{attack: "as it is", sent: "x.%s", said: same},
		{attack: "nothing but the guess", sent: "%s", said: same},
		{attack: "in capital letters", sent: "x.%s", said: strings.ToUpper},
		{attack: "in quotes of JSON, with signs between", sent: `70"6f\5e%[1]s`, said: quoted},
		{attack: "percent", sent: "70&6f 5e+%s", said: url.QueryEscape},
		{attack: "percent of a path", sent: "70&6f 5e+%s", said: url.PathEscape},
		{attack: "entities", sent: `70<6f"5e%s`, said: html.EscapeString},
		{attack: "a sign after each character", sent: "%.1[1]s-0-6-f-5-%[1]s", said: same},
		{attack: "cut by the server", sent: "x.%s.and.more.that.is.long", said: func(s string) string { return s[:10] + "…" }},
		{attack: "cut by what we look through", sent: "x.%s", said: func(s string) string { return strings.Repeat(s+" ", 16*maxServerText/9) }},
		{attack: "six characters, and the server adds one", sent: "%s", said: func(s string) string { return s + " 1a2b3" }},
		{attack: "two texts beside each other", sent: "%s", said: func(s string) string { return s + "," + s }},
		{attack: "beside another piece", sent: "708192 zz %s", said: same},
		{attack: "reversed before it is sent", sent: "x.%s e5f607", said: same},
		{attack: "hex before it is sent", sent: "x.%x", said: same},
		{attack: "fill that is no character", sent: "706\u1160f5\u1160e%s", said: same},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				for _, open := range []string{"its own", "another's"} {
					says := map[string]string{}
					for _, guess := range []string{right, wrong} {
						sent := fmt.Sprintf(c.sent, guess)
						said := c.said(sent)
						text, _ := json.Marshal("the client_id " + said + " is not known")
						client := newClient(t, inTurn(with(reply(422, mediaProblem, `{"code":"validation_failed","title":"x","detail":`+string(text)+`}`))))
						client.Guard(func(devID string) []secrets.Value {
							if devID != "" && open != "its own" {
								return nil
							}
							return []secrets.Value{secret(hidden)}
						})
						_, err := client.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientID: &sent}, "k")
						says[guess] = strings.ReplaceAll(strings.ToLower(fmt.Sprint(err)), guess, "GUESS")
						for _, form := range []string{fmt.Sprintf("%x", guess), strings.ToLower(oneLine(said))} {
							says[guess] = strings.ReplaceAll(says[guess], form, "GUESS")
						}
					}
					if says[right] != says[wrong] || strings.Contains(says[wrong], withheld) {
						t.Errorf("%s secret: got\n%s\nwith a right guess and\n%s\nwith a wrong one", open, says[right], says[wrong])
					}
				}
			})
		})
	}
}

// TestHostileNotices lets a notice of one environment hold a guess about a secret of the
// next one: notices are judged together.
func TestHostileNotices(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attack, guess string }{
		{attack: "a right guess in a notice", guess: "706f5e"},
		{attack: "a wrong guess in a notice", guess: "706f50"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				var said []string
				client := newClient(t, inTurn(
					with(reply(200, mediaJSON, credentialsJSON, "Terra-Notice", "x."+c.guess+" is old")),
					with(reply(200, mediaJSON, credentialsJSON, "Terra-Notice", "all is well"))),
					func(o *Options) { o.Notice = func(_, text string) { said = append(said, text) } })
				client.Guard(func(devID string) []secrets.Value {
					if devID != "" && devID != "prod" {
						return nil
					}
					return []secrets.Value{secret("706f5e1a2b3c4d5e6f708192a3b4c5d6e7f80910")}
				})
				for _, devID := range []string{"x." + c.guess, "prod"} {
					if _, err := client.GetCredentials(t.Context(), devID, "strava"); err != nil {
						t.Fatal(err)
					}
				}
				if got := strings.Join(said, "; "); got != "x."+c.guess+" is old; all is well" {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// TestHostileChoices lets who commits send what may hide an echo of the secret itself.
func TestHostileChoices(t *testing.T) {
	t.Parallel()
	const hidden = "706f5e1a2b3c4d5e6f708192a3b4c5d6e7f80910"
	var pairs []string
	for i := range 256 {
		pairs = append(pairs, fmt.Sprintf("%02x", i))
	}
	for _, c := range []struct {
		attack string
		scopes []string
		said   string
	}{
		{attack: "every single character is sent", scopes: strings.Split("0123456789abcdef", ""), said: hidden},
		{attack: "every pair is sent", scopes: pairs, said: hidden},
		{attack: "every pair is sent, and the echo is in pairs", scopes: pairs, said: strings.Join(strings.Split(hidden, "5"), "-5-")},
		{attack: "pieces that are known are sent", scopes: []string{hidden[:7], hidden[10:16]}, said: hidden},
		{attack: "all pieces are sent, as nobody can", scopes: []string{hidden}, said: hidden},
		{attack: "a field is called like a secret", scopes: []string{"client_secret", "verification_secret"}, said: hidden},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				for _, opened := range []string{"dev-1", ""} {
					said := quoteJSON("it was " + c.said)
					client := newClient(t, inTurn(with(reply(422, mediaProblem, `{"code":"validation_failed","title":"x","detail":`+said+`}`))))
					client.Guard(func(devID string) []secrets.Value {
						if devID != opened && devID != "" {
							return nil
						}
						return []secrets.Value{secret(hidden)}
					})
					_, err := client.SetScopes(t.Context(), "dev-1", "strava", c.scopes, "k")
					if !strings.Contains(fmt.Sprint(err), withheld) {
						t.Errorf("opened for %q: got %v", opened, err)
					}
				}
			})
		})
	}
}

// What is cut from a long text leaves no piece of what was sent beside a word of the server.
func TestCuttingTellsNothing(t *testing.T) {
	t.Parallel()
	openly := &secrets.Openly{}
	openly.Add("706f5e")
	s := scrubber{near: []secrets.Value{secret("c706f5e1a2b3c4d5e6f7")}, openly: openly}
	if got := s.clean(strings.Repeat("z", 16*maxServerText-7) + "c 706f5e"); got == withheld {
		t.Error("the text is withheld")
	}
}

func quoteJSON(text string) string { b, _ := json.Marshal(text); return string(b) }

// TestWhatIsSentOpenly finds all texts of a request but for its secrets.
func TestWhatIsSentOpenly(t *testing.T) {
	t.Parallel()
	body, err := CredentialWrite{ClientID: "id-of-ours", ClientSecret: secret("not-this"), VerificationSecret: secret("nor-this"), RedirectURL: new("https://a.example/x")}.fields().body()
	if err != nil {
		t.Fatal(err)
	}
	k := call{devID: "dev-1", provider: "strava", key: "k-1", body: body, query: url.Values{"cursor": {"c-1"}}, op: operation{method: http.MethodPut}}
	got := strings.Join(k.openly(), " ")
	for _, want := range []string{"dev-1", "strava", "k-1", "c-1", "id-of-ours", "https://a.example/x"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	if strings.Contains(got, "this") {
		t.Errorf("a secret is taken for open: %s", got)
	}
	k.body = plainBody(struct {
		Scopes []string `json:"scopes"`
	}{[]string{"client_secret", "read"}})
	if got := strings.Join(k.openly(), " "); !strings.Contains(got, "client_secret read") {
		t.Errorf("got %s", got)
	}
}
