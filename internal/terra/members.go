package terra

import (
	"bytes"
	"encoding/json"
)

// Answers are checked for required fields, which encoding/json cannot do, and
// there are two for every connection. So objects and lists are cut into their
// raw values here, in one pass and without maps. Every document has passed
// json.Valid before, and a fuzz test holds the cuts against encoding/json.

// member is one value of an object or a list; name is empty in a list.
type member struct {
	name string
	raw  json.RawMessage
}

// cut returns the values of the object or list that document is, and false when
// it is something else. document must be valid JSON.
func cut(document json.RawMessage, open byte) ([]member, bool) {
	d := bytes.Trim(document, " \t\r\n")
	if len(d) < 2 || d[0] != open {
		return nil, false
	}
	members := make([]member, 0, 8)
	for i := 1; ; {
		i = skipSpace(d, i)
		if d[i] == '}' || d[i] == ']' {
			return members, true
		}
		if d[i] == ',' {
			i++
			continue
		}
		var m member
		if open == '{' {
			end := skipString(d, i)
			m.name = memberName(d[i:end])
			i = skipSpace(d, skipSpace(d, end)+1) // past the colon
		}
		end := skipValue(d, i)
		m.raw = d[i:end]
		members = append(members, m)
		i = end
	}
}

// find returns the member of that name; of twins the last, as encoding/json does.
func find(members []member, name string) (json.RawMessage, bool) {
	for i := len(members) - 1; i >= 0; i-- {
		if members[i].name == name {
			return members[i].raw, true
		}
	}
	return nil, false
}

func memberName(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var name string
	_ = json.Unmarshal(quoted, &name) // a valid document holds valid names
	return name
}

func skipSpace(d []byte, i int) int {
	for d[i] == ' ' || d[i] == '\t' || d[i] == '\r' || d[i] == '\n' {
		i++
	}
	return i
}

// skipString returns the index after the text that starts at i.
func skipString(d []byte, i int) int {
	for i++; d[i] != '"'; i++ {
		if d[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index after the value that starts at i.
func skipValue(d []byte, i int) int {
	depth := 0
	for ; i < len(d); i++ {
		switch d[i] {
		case '"':
			i = skipString(d, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what holds a bare value
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}
