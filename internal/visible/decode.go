package visible

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode gives the text of a file as an editor shows it: without a byte order mark, and
// UTF-16 that begins with one as UTF-8. Windows' own tools write both. Other bytes stay
// as they are.
func Decode(data []byte) []byte {
	if text, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		return text
	}
	at := 0 // of the byte that counts less
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		at = 1
	default:
		return data
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, uint16(data[i+at])|uint16(data[i+1-at])<<8)
	}
	text := make([]byte, 0, len(units))
	for _, r := range utf16.Decode(units) {
		text = utf8.AppendRune(text, r)
	}
	return text
}
