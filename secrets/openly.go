package secrets

import (
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	// mark stands for what was sent openly while a text is looked through.
	mark = " \ua66e "
	// mostRuns bounds what is remembered of one Openly: who could choose more might take
	// a real secret apart.
	mostRuns = 1 << 17
)

// Openly is what a server was sent that is no secret, such as names, client ids and
// addresses. Who chooses them must not learn from an echo whether they share characters
// with a secret. The zero Openly was sent nothing. It is safe for concurrent use.
type Openly struct {
	mu    sync.RWMutex
	known map[string]struct{}
	runs  map[[telling]byte]struct{} // of the texts and of their letters and digits
	short map[string]struct{}        // letters and digits of texts that have no such run
}

// Add notes texts, and the forms in which servers quote them.
func (o *Openly) Add(texts ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil {
		o.known, o.runs, o.short = map[string]struct{}{}, map[[telling]byte]struct{}{}, map[string]struct{}{}
	}
	for _, text := range texts {
		if _, known := o.known[text]; known {
			continue
		}
		o.known[text] = struct{}{}
		inJSON, _ := json.Marshal(text)
		for _, form := range []string{text, string(inJSON[1 : len(inJSON)-1]), strconv.QuoteToASCII(text), url.PathEscape(text), url.QueryEscape(text), html.EscapeString(text)} {
			o.add(raw(form))
			if plain := plainly(form); len(plain.text) < telling {
				o.short[string(plain.text)] = struct{}{}
			} else {
				o.add(plain)
			}
		}
	}
}

func (o *Openly) add(v view) {
	for i := 0; i+telling <= len(v.text) && len(o.runs) < mostRuns; i++ {
		o.runs[[telling]byte(v.text[i:])] = struct{}{}
	}
}

// Without gives a text with a mark for each stretch that was sent openly: six characters
// or more of such a text, in letters of either case, or a whole shorter one as a word. It
// does not depend on any secret. ok is false when too much was sent to tell.
func (o *Openly) Without(text string) (marked string, ok bool) {
	if o == nil {
		return text, true
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	hide := make([]bool, len(text))
	o.cover(raw(text), hide)
	plain := plainly(text)
	o.cover(plain, hide)
	for i := range plain.text {
		for n := 1; n < telling && i+n <= len(plain.text) && plain.begins(i); n++ {
			if _, sent := o.short[string(plain.text[i:i+n])]; sent && plain.begins(i+n) {
				plain.hide(hide, i, i+n)
			}
		}
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hide[i]:
			out.WriteByte(text[i])
		case i == 0 || !hide[i-1]:
			out.WriteString(mark)
		}
	}
	return out.String(), len(o.runs) < mostRuns
}

func (o *Openly) cover(v view, hide []bool) {
	for i := 0; i+telling <= len(v.text); i++ {
		if _, sent := o.runs[[telling]byte(v.text[i:])]; sent {
			v.hide(hide, i, i+telling)
		}
	}
}

// view is a text in small letters, as a whole or without signs. from and to say where in
// the text the character of each byte stands.
type view struct {
	text     []byte
	from, to []int
}

func (v *view) put(character []byte, from, to int) {
	for _, b := range character {
		v.text, v.from, v.to = append(v.text, b), append(v.from, from), append(v.to, to)
	}
}

// begins tells whether a sign, or an end of the text, stands before the byte i.
func (v *view) begins(i int) bool {
	return i == 0 || i == len(v.text) || v.from[i] > v.to[i-1]
}

func (v *view) hide(hide []bool, i, end int) {
	for at := v.from[i]; at < v.to[end-1]; at++ {
		hide[at] = true
	}
}

func raw(text string) (v view) {
	for i := range len(text) {
		b := text[i]
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		v.put([]byte{b}, i, i+1)
	}
	return v
}

// plainly is the view of plainCharacters.
func plainly(text string) (v view) {
	for i, r := range text {
		if size := utf8.RuneLen(r); r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			v.put(utf8.AppendRune(nil, unicode.ToLower(r)), i, i+size)
		}
	}
	return v
}
