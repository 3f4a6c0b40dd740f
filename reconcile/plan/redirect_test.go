package plan

import "testing"

// TestRedirectHosts: only a host that every reader of addresses takes for the listed
// one is that one.
func TestRedirectHosts(t *testing.T) {
	in := facts{RedirectHosts: []string{"access.tryterra.co", "auth.acme.example", "*.wild.example"}}
	known := []string{
		"https://auth.acme.example", "https://auth.acme.example/", "https://auth.acme.example/a?b#c", "https://auth.acme.example?b", "https://auth.acme.example#c",
		"https://AUTH.Acme.Example/a", "https://access.tryterra.co/api/v2/auth/strava/oauth2", "https://a.wild.example/", "https://xn--bcher-kva.wild.example/",
		"https://auth.acme.example/@evil.example", `https://auth.acme.example/\@evil.example`,
	}
	foreign := []string{
		"", "https://", "https:///", "auth.acme.example", "http://auth.acme.example/", "HTTPS://auth.acme.example/", "https:auth.acme.example", "https:/auth.acme.example/",
		"//auth.acme.example/", " https://auth.acme.example/", "https:// auth.acme.example/", "https://auth.acme.example /", "https://\tauth.acme.example/", "https://auth.acme.example\n/",
		"https://evilauth.acme.example/", "https://evil-auth.acme.example/", "https://auth.acme.example.evil.example/", "https://evil.example/auth.acme.example",
		"https://acme.example/", "https://auth.acme.exampl/", "https://auth.acme.example.com/", "https://auth-acme.example/", "https://auth.acmeXexample/",
		"https://auth.acme.example:443/", "https://auth.acme.example:8443/", "https://auth.acme.example:/", "https://evil.example#@auth.acme.example/",
		"https://auth.acme.example@evil.example/", "https://user@auth.acme.example/", "https://u:p@auth.acme.example/", "https://@auth.acme.example/",
		`https://evil.example\@auth.acme.example/`, `https://auth.acme.example\.evil.example/`, `https:\\auth.acme.example/`, "https://evil.example?.auth.acme.example/",
		"https://auth.acme.example./", "https://.auth.acme.example/", "https://auth..acme.example/", "https://auth%2eacme.example/", "https://auth.acme.example%2f.evil.example/",
		"https://аuth.acme.example/" /* a Cyrillic a */, "https://auth.aсme.example/", "https://auth.acme。example/", "https://auth.acme.example。evil.example/",
		"https://auth.acme.eXampl\u212Ae/", "https://auth.acme.exampl\u00e9/", "https://xn--uth-5cd.acme.example/", "https://au\u200Bth.acme.example/", "https://au\u00ADth.acme.example/",
		"https://wild.example/", "https://.wild.example/", "https://a.b.wild.example/", "https://awild.example/", "https://*.wild.example/", "https://-.wild.example/",
		"https://203.0.113.9/", "https://[2001:db8::9]/", "https://0x7f000001/", "https://3405803785/", "https://203.0.113.9.wild.example/", "https://localhost/",
		"https://tryterra.co/", "https://evil.tryterra.co/", "https://access.tryterra.co.evil.example/", "https://accesstryterra.co/",
	}
	for address, want := range mergeBool(known, foreign) {
		to := address
		change := FieldChange{Field: FieldRedirectURL, To: FieldValue{Value: &to}}
		if host, got := foreignHost(in.input(), change); got != want {
			t.Errorf("%q: foreign %t (%q), want %t", address, got, host, want)
		}
	}
	t.Logf("COUNT redirect_addresses=%d", len(known)+len(foreign))
}

func mergeBool(no, yes []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range no {
		out[s] = false
	}
	for _, s := range yes {
		out[s] = true
	}
	return out
}

// TestDomainHosts: a domain is held to the same letters as the host of an address.
func TestDomainHosts(t *testing.T) {
	in := facts{RedirectHosts: []string{"auth.acme.example"}}
	for value, want := range map[string]bool{
		"auth.acme.example": false, "AUTH.acme.example": false, "auth.acme.example.": true, "evil.example": true, "auth.acme.example:1": true,
		"https://auth.acme.example": true, "auth.acme.example/": true, "203.0.113.9": true, "auth.acme.example\u200b": true, "": true, "example": true,
	} {
		to := value
		if _, got := foreignHost(in.input(), FieldChange{Field: FieldDomain, To: FieldValue{Value: &to}}); got != want {
			t.Errorf("%q: foreign %t, want %t", value, got, want)
		}
	}
}

// TestLiveRedirectHost: what Terra has in the field already may stay and move on its
// host. What it has in another field, or what cannot be told, vouches for nothing.
func TestLiveRedirectHost(t *testing.T) {
	for _, row := range []struct {
		field, live, want string
		foreign           bool
	}{
		{FieldRedirectURL, "https://old.example/a", "https://old.example/b", false},
		{FieldRedirectURL, "https://OLD.example/a", "https://old.example/b", false},
		{FieldRedirectURL, "https://old.example/a", "https://old.example.evil.example/b", true},
		{FieldRedirectURL, "https://old.example:8443/a", "https://old.example:8443/b", true},
		{FieldRedirectURL, "https://203.0.113.9/a", "https://203.0.113.9/b", true},
		{FieldRedirectURL, "http://old.example/a", "https://old.example/b", true},
		{FieldRedirectURL, "", "https://old.example/b", true},
		{FieldDomain, "old.example", "OLD.example", false},
		{FieldDomain, "", "", true},
		{FieldDomain, "old.example", "new.example", true},
	} {
		f := FieldChange{Field: row.field, From: FieldValue{Value: &row.live}, To: FieldValue{Value: &row.want}}
		if _, got := foreignHost(Input{}, f); got != row.foreign {
			t.Errorf("%s %q to %q: foreign %t, want %t", row.field, row.live, row.want, got, row.foreign)
		}
	}
	if _, foreign := foreignHost(Input{}, FieldChange{Field: FieldRedirectURL, To: FieldValue{Default: true}}); foreign {
		t.Error("Terra's own default is foreign")
	}
}
