package plan

import "strings"

// foreignHost gives the host to which a field sends end users, and whether nobody
// vouches for it: not the runner, nor Terra, which has it in that field already. A
// value whose host cannot be told for certain is foreign as a whole.
func foreignHost(in Input, f FieldChange) (host string, foreign bool) {
	if f.Field != FieldRedirectURL && f.Field != FieldDomain || f.To.Value == nil {
		return "", false
	}
	host, isPlain := hostOf(f.Field, *f.To.Value)
	if !isPlain {
		return *f.To.Value, true
	}
	for _, listed := range in.RedirectHosts {
		if listsHost(listed, host) {
			return host, false
		}
	}
	if f.From.Value == nil {
		return host, true
	}
	live, isPlain := hostOf(f.Field, *f.From.Value)
	return host, !isPlain || live != host
}

// hostOf gives the host of a redirect_url or a domain in small letters. It is plain
// only where no reader of addresses could take another one from it: https, and from
// there to the path nothing but letters, digits, hyphens and dots.
func hostOf(field, value string) (host string, isPlain bool) {
	if field == FieldRedirectURL {
		rest, isHTTPS := strings.CutPrefix(value, "https://")
		if !isHTTPS {
			return "", false
		}
		if value = rest; strings.ContainsAny(rest, "/?#") {
			value = rest[:strings.IndexAny(rest, "/?#")]
		}
	}
	return hostName(value)
}

// hostName gives a name of at least two labels in small letters; ok is false for
// whatever else there is, an IP address, a final dot and other alphabets among it.
func hostName(text string) (name string, ok bool) {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.'
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return "", false
	}
	labels := strings.Split(strings.ToLower(text), ".")
	for _, label := range labels {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return "", false
		}
	}
	last := labels[len(labels)-1]
	isName := len(labels) > 1 && last[0] >= 'a' && last[0] <= 'z'
	return strings.Join(labels, "."), isName
}

// listsHost tells whether an entry of the runner's list is about a host in small
// letters: the name itself, or `*.` in place of exactly its first label.
func listsHost(entry, host string) bool {
	if below, isAny := strings.CutPrefix(entry, "*."); isAny {
		_, parent, _ := strings.Cut(host, ".")
		return parent == below
	}
	return entry == host
}
