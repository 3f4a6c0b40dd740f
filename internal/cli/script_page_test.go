package cli

import (
	"crypto/tls"
	"crypto/x509"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// visitor is a browser as far as the page needs one: it keeps cookies and the last form.
type visitor struct {
	cookies map[string]string
	page    string
	form    url.Values
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// pageCommand asks the daemon for a page, as a browser does, and wants a status; what it
// answers is the standard output:
//
//	page STATUS GET|POST PATH [NAME=VALUE…]
//
// A value is a field of the form beside those that formCommand has kept, but for host= and
// origin=, and for token= where it is no form: there it is a bearer token. Where CA names a
// file, it asks by TLS.
func pageCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, 20, "page STATUS GET|POST PATH [NAME=VALUE…]")
	s := sceneOf(ts)
	if s.visitor == nil {
		s.visitor = &visitor{cookies: map[string]string{}}
	}
	v := s.visitor
	address := ts.Getenv("DAEMON")
	if at := strings.LastIndexByte(address, ':'); !strings.HasPrefix(address, "127.") {
		address = "127.0.0.1" + address[at:]
	}
	fields := url.Values{}
	for name, values := range v.form {
		fields[name] = values
	}
	base, transport := "http://"+address, &http.Transport{DisableKeepAlives: true}
	if ca := ts.Getenv("CA"); ca != "" {
		issuers := x509.NewCertPool()
		issuers.AppendCertsFromPEM([]byte(ts.ReadFile(ca)))
		base, transport.TLSClientConfig = "https://"+address, &tls.Config{RootCAs: issuers, MinVersion: tls.VersionTLS12}
	}
	host, origin, token := address, base, ""
	for _, arg := range args[3:] {
		name, value, _ := strings.Cut(arg, "=")
		switch {
		case name == "host":
			host = value
		case name == "origin":
			origin = value
		case name == "token" && args[1] == http.MethodGet:
			token = value
		default:
			fields.Set(name, value)
		}
	}
	body := ""
	if args[1] == http.MethodPost {
		body = fields.Encode()
	}
	r, err := http.NewRequest(args[1], base+args[2], strings.NewReader(body))
	ts.Check(err)
	r.Host = host
	if args[1] == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := &http.Client{Timeout: patience, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got, err := client.Do(r)
	ts.Check(err)
	text, err := io.ReadAll(got.Body)
	ts.Check(err)
	ts.Check(got.Body.Close())
	for _, c := range got.Cookies() {
		if v.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		}
	}
	v.page = string(text)
	_, err = ts.Stdout().Write(text)
	ts.Check(err)
	var headers strings.Builder
	ts.Check(got.Header.Write(&headers))
	s.keep(ts, "page", headers.String()+v.page)
	if want := number(ts, args[0]); got.StatusCode != want {
		ts.Fatalf("%s %s answers %d, want %d:\n%s", args[1], args[2], got.StatusCode, want, text)
	}
}

// formCommand keeps the form of the last page, which the next posts send.
func formCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 0, 0, "form")
	v := sceneOf(ts).visitor
	v.form = url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(v.page, -1) {
		v.form.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	if len(v.form) == 0 {
		ts.Fatalf("the page has no form:\n%s", v.page)
	}
}

// guessCommand tries tokens until the answer is another one:
//
//	guess STATUS THEN PATH
func guessCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, 3, "guess STATUS THEN PATH")
	client := &http.Client{Timeout: patience}
	for i := range 1000 {
		r, err := http.NewRequest(http.MethodGet, "http://"+ts.Getenv("DAEMON")+args[2], http.NoBody)
		ts.Check(err)
		r.Header.Set("Authorization", "Bearer guess-"+strconv.Itoa(i))
		got, err := client.Do(r)
		ts.Check(err)
		ts.Check(got.Body.Close())
		switch {
		case got.StatusCode == number(ts, args[1]) && i > 0:
			return
		case got.StatusCode != number(ts, args[0]):
			ts.Fatalf("guess %d is answered %d", i, got.StatusCode)
		}
	}
	ts.Fatalf("a thousand guesses were answered")
}
