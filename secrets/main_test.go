package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// TestMain lets the test binary play an age plugin when it is started under
// the name of one.
func TestMain(m *testing.M) {
	if name, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "age-plugin-"); ok {
		os.Exit(playPlugin(name))
	}
	os.Exit(m.Run())
}

// playPlugin speaks the plugin protocol. Its keys hold ordinary X25519 keys.
func playPlugin(name string) int {
	p, err := plugin.New(name)
	if err != nil {
		return 1
	}
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		switch name {
		case "asks":
			return askingIdentity{p}, nil
		case "fails":
			return nil, fmt.Errorf("card not present\x1b[31m, reading %s", plugin.EncodeIdentity(name, data))
		case "hangs":
			_, _ = io.Copy(io.Discard, os.Stdin) // until the caller is gone
		case "talks":
			if err := p.DisplayMessage("please touch the key"); err != nil {
				return nil, err
			}
		}
		return age.ParseX25519Identity(string(data))
	})
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		return age.ParseX25519Recipient(string(data))
	})
	return p.Main()
}

type askingIdentity struct{ p *plugin.Plugin }

func (a askingIdentity) Unwrap([]*age.Stanza) ([]byte, error) {
	if _, err := a.p.RequestValue("PIN, please", true); err != nil {
		return nil, fmt.Errorf("no PIN: %w", err)
	}
	return nil, errors.New("wrong PIN")
}

// installPlugin puts a plugin into a PATH that holds nothing else.
func installPlugin(t *testing.T, names ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, "age-plugin-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

// keyPair makes an identity and its recipient as text.
func keyPair(tb testing.TB, postQuantum bool) (private, public string) {
	tb.Helper()
	v, public, err := GenerateIdentity(postQuantum)
	if err != nil {
		tb.Fatal(err)
	}
	return v.Reveal(), public
}

func identitiesOf(tb testing.TB, allow []string, lines ...string) *Identities {
	tb.Helper()
	ids, err := LoadIdentities(Source{Inline: strings.Join(lines, "\n"), AllowPlugins: allow})
	if err != nil {
		tb.Fatal(err)
	}
	return ids
}

func recipientsOf(tb testing.TB, allow []string, lines ...string) Recipients {
	tb.Helper()
	r, err := ParseRecipients(lines, allow)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// seal seals the planted secret.
func seal(tb testing.TB, b Binding, r Recipients) Sealed {
	tb.Helper()
	s, err := Seal(NewValue([]byte(planted)), b, r)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// sealRaw seals contents as they are, as the age command would.
func sealRaw(tb testing.TB, contents string, r ...age.Recipient) Sealed {
	tb.Helper()
	raw, err := encrypt([]byte(contents), r)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := armorBytes(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// leaks returns the piece of secret that stands in text: six bytes of it, or
// the whole in a usual encoding.
func leaks(text, secret string) string {
	for i := 0; i+6 <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+6]) {
			return secret[i : i+6]
		}
	}
	raw := []byte(secret)
	for _, form := range []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), fmt.Sprintf("% x", raw),
		strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="),
		base64.RawURLEncoding.EncodeToString(raw), url.QueryEscape(secret), strings.Trim(fmt.Sprintf("%d", raw), "[]"), fmt.Sprintf("%#v", raw),
	} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

func place() Binding {
	return Binding{Account: DefaultAccount, DevID: "prod-app-x81LmQ", Provider: "strava", Field: "client_secret"}
}
