package secrets

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"filippo.io/age/armor"
)

// TestCanonicalIsWhatAgeWrites: what is read in one piece is exactly what armoring
// it again gives, for every length; anything else is left to age.
func TestCanonicalIsWhatAgeWrites(t *testing.T) {
	text := func(s string) string { return armor.Header + "\n" + s + armor.Footer + "\n" }
	checked := 0
	for n := 1; n <= 200; n++ {
		raw := bytes.Repeat([]byte{byte(n), 0xfb, 0xff}, n)[:n]
		sealed, err := armorBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, again, ok := readCanonical(sealed.armor)
		if !ok || !bytes.Equal(got, raw) || again != sealed {
			t.Fatalf("%d bytes: canonical %v, %x as %+v", n, ok, got, again)
		}
		lines := strings.Split(strings.TrimSpace(sealed.armor), "\n")
		body := strings.Join(lines[1:len(lines)-1], "")
		for name, other := range map[string]string{
			"CRLF": strings.ReplaceAll(sealed.armor, "\n", "\r\n"), "space before": " " + sealed.armor, "no last newline": strings.TrimSpace(sealed.armor),
			"short lines": text(strings.Join(strings.Split(body, ""), "\n") + "\n"), "a carriage return": text(body[:1] + "\r" + body[1:] + "\n"),
			"an empty line": text("\n" + body + "\n"), "one line": text(body + "\n"), "cut": text(body[:len(body)-1] + "\n"),
			"spare bits": strings.Replace(sealed.armor, body[len(body)-4:]+"\n", spare(body[len(body)-4:])+"\n", 1),
		} {
			want, slow := io.ReadAll(armor.NewReader(strings.NewReader(other)))
			if got, again, ok := readCanonical(other); ok && (slow != nil || !bytes.Equal(got, want) || again != sealed) {
				t.Errorf("%d bytes, %s: taken for canonical", n, name)
			}
			checked++
		}
	}
	t.Logf("COUNT canonical_armor=%d", checked)
}

// spare gives the last four letters of base64 with bits that no byte needs.
func spare(last string) string {
	at := strings.IndexByte(last, '=') - 1
	if at < 1 {
		return last
	}
	return last[:at] + string(last[at]+1) + last[at+1:]
}
