package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// maxSecretsFile is how many bytes a file of secrets has at most.
const maxSecretsFile = 4 << 20

// readSecretsFile reads a file of secrets, "-" for standard input, whole. A file that
// others can read or change is refused, and one in the folder inside.
func readSecretsFile(proc *Process, name, inside string) ([]byte, error) {
	from := proc.Stdin
	if name == "-" {
		if proc.Terminals.Stdin {
			return nil, usageError("--secrets -: what is typed here would be shown; name a file, or let another program write them")
		}
	} else {
		within, err := isWithin(name, inside)
		if err != nil {
			return nil, fmt.Errorf("read secrets: %w", err)
		}
		if within {
			return nil, advice.With(fmt.Errorf("%s: it lies in the repository %s, where `git add` would take it along", name, inside), "move it out of there")
		}
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read secrets: %w", err)
		}
		defer func() { _ = file.Close() }()
		if err := refuseOpenFile(file); err != nil {
			return nil, err
		}
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxSecretsFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read secrets: %w", err)
	case len(text) > maxSecretsFile:
		return nil, fmt.Errorf("read secrets: %s is larger than 4 MiB", name)
	}
	return text, nil
}

// refuseOpenFile refuses a file of secrets that is not for this user alone. A pipe has no
// name that others could open it by, or is what its owner made it.
func refuseOpenFile(file *os.File) error {
	info, err := file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("read secrets: %w", err)
	case info.Mode().Type() == fs.ModeNamedPipe:
		return nil
	case !info.Mode().IsRegular():
		return fmt.Errorf("read secrets: %s is no file", file.Name())
	case info.Mode().Perm()&0o077 != 0:
		return advice.With(fmt.Errorf("%s: it holds secrets, and others on this machine may read or change it (mode %04o)", file.Name(), info.Mode().Perm()),
			"take that right from them (chmod 600), and make new secrets if somebody may have read these")
	}
	return neighbour.Opened("file of secrets", file)
}

// given is one value as a file of secrets gives it.
type given struct {
	line    int
	item    int           // of a password manager, 1 is the first; 0 for none
	place   string        // connection and field, as placeWords writes them
	value   secrets.Value // a secret, or a client id
	isLogin bool          // the user name or password of an item
	isLoose bool          // another field of an item, which may be anything
}

// lineError is what is wrong with a line of a file. It never repeats any of it.
type lineError struct {
	line int
	says string
	next note // what to do, beside mending the line
}

// placeWords is a name of a place without its punctuation: production/strava
// client_secret, and PRODUCTION_STRAVA_CLIENT_SECRET.
func placeWords(name string) string {
	words := strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
	return strings.Join(words, "_")
}

// readGiven reads all values of a file of secrets: lines, or the JSON of a password
// manager.
func readGiven(text []byte) ([]given, []lineError) {
	text = visible.Decode(text)
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		return givenItems(text)
	}
	return givenLines(string(text))
}

func givenLines(text string) (all []given, wrong []lineError) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, exported := strings.CutPrefix(line, "export "); exported {
			line = rest
		}
		name, value, found := strings.Cut(line, "=")
		if !found {
			wrong = append(wrong, lineError{line: number, says: "has no =; write it like `production/strava client_secret=…`"})
			continue
		}
		value, says := unquoted(strings.TrimSpace(value))
		if says != "" {
			wrong = append(wrong, lineError{line: number, says: says})
			continue
		}
		all = append(all, given{line: number, place: placeWords(name), value: secrets.NewValue([]byte(value))})
	}
	return all, wrong
}

// unquoted is a value without the quotes around it. What programs read in different ways
// is refused.
func unquoted(value string) (text, says string) {
	if value == "" {
		return "", "has nothing behind its ="
	}
	quote := value[:1]
	if quote != `"` && quote != "'" {
		if strings.Contains(value, " #") || strings.Contains(value, "\t#") {
			return "", "holds a # behind white space: a comment stands on a line of its own, and a value with one in quotes"
		}
		return value, ""
	}
	inner := value[1:]
	switch end := strings.Index(inner, quote); {
	case end < 0:
		return "", "begins with a quote that does not end on this line"
	case end < len(inner)-1:
		return "", "goes on behind the quote that ends its value"
	case quote == `"` && strings.Contains(inner, `\`):
		return "", "holds a backslash in double quotes, which programs read in different ways: write it in single ones"
	case end == 0:
		return "", "has nothing between its quotes"
	}
	return inner[:len(inner)-1], ""
}

// storedItem is an entry of a password manager: as Bitwarden's export and `bw list items`
// have it, with name and login, or 1Password's `op item get --format json`, with title.
type storedItem struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Login *struct {
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"login"`
	Fields []storedField `json:"fields"`
}

type storedField struct {
	Name    string          `json:"name"`    // Bitwarden
	Label   string          `json:"label"`   // 1Password
	Purpose string          `json:"purpose"` // 1Password: USERNAME, PASSWORD, NOTES
	Type    json.RawMessage `json:"type"`    // Bitwarden: 1 is hidden; 1Password: CONCEALED
	Value   *string         `json:"value"`
}

func (f storedField) isHidden() bool { return string(f.Type) == "1" || string(f.Type) == `"CONCEALED"` }

// pieceOfJSON is one value of a document, and the byte where it begins.
type pieceOfJSON struct {
	text []byte
	at   int
}

// givenItems reads the items of one or more documents: alone, in a list, or in a list
// named items.
func givenItems(text []byte) (all []given, wrong []lineError) {
	lineOf := func(at int) int { return 1 + bytes.Count(text[:min(at, len(text))], []byte("\n")) }
	var items []pieceOfJSON
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		piece, err := nextPiece(dec, 0)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			at := len(bytes.TrimRight(text, " \t\r\n"))
			if damaged := (*json.SyntaxError)(nil); errors.As(err, &damaged) {
				at = int(damaged.Offset) - 1
			}
			return nil, []lineError{{line: lineOf(at), says: "here the JSON is damaged or cut"}}
		}
		found, says := itemsOf(piece)
		if says != "" {
			return nil, []lineError{{line: lineOf(piece.at), says: says}}
		}
		items = append(items, found...)
	}
	if len(items) == 0 {
		return nil, []lineError{{line: 1, says: "holds no items"}}
	}
	for i, piece := range items {
		var item storedItem
		line := lineOf(piece.at)
		if err := json.Unmarshal(piece.text, &item); err != nil || item.Name == "" && item.Title == "" {
			wrong = append(wrong, lineError{line: line, says: "is no item as Bitwarden or 1Password (`op item get --format json`) write it"})
			continue
		}
		found := item.given(line, i+1)
		if len(found) == 0 {
			wrong = append(wrong, lineError{line: line, says: "is an item without a password or a field with a value"})
		}
		all = append(all, found...)
	}
	return all, wrong
}

func nextPiece(dec *json.Decoder, base int) (pieceOfJSON, error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return pieceOfJSON{}, err
	}
	return pieceOfJSON{raw, base + int(dec.InputOffset()) - len(raw)}, nil
}

// itemsOf finds the items in a document, which is whole.
func itemsOf(whole pieceOfJSON) (items []pieceOfJSON, says string) {
	var export struct {
		Encrypted bool            `json:"encrypted"`
		Items     json.RawMessage `json:"items"`
	}
	isList := whole.text[0] == '['
	if !isList {
		if err := json.Unmarshal(whole.text, &export); err != nil {
			return nil, "is neither items nor an export of Bitwarden or 1Password"
		}
		if export.Encrypted {
			return nil, "is an encrypted export; make one without a password, into a private file or a pipe"
		}
		if export.Items == nil {
			return []pieceOfJSON{whole}, ""
		}
	}
	dec := json.NewDecoder(bytes.NewReader(whole.text))
	_, err := dec.Token() // its bracket
	for err == nil && dec.More() {
		var name json.Token
		if !isList {
			if name, err = dec.Token(); err != nil {
				break
			}
		}
		var piece pieceOfJSON
		if piece, err = nextPiece(dec, whole.at); err != nil {
			break
		}
		switch {
		case isList && piece.text[0] == '{':
			items = append(items, piece)
		case isList || name == "items" && piece.text[0] != '[':
			return nil, "is neither items nor an export of Bitwarden or 1Password"
		case name == "items":
			return itemsOf(piece)
		}
	}
	return items, ""
}

// given are the values of an item. Its user name and its password are the client id and
// the client secret, unless fields of that name say otherwise.
func (i storedItem) given(line, number int) (all []given) {
	name := i.Name
	if i.Title != "" {
		name = i.Title
	}
	add := func(field, value string, g given) {
		if value == "" {
			return
		}
		g.line, g.item, g.place, g.value = line, number, placeWords(name+" "+field), secrets.NewValue([]byte(value))
		all = append(all, g)
	}
	if i.Login != nil {
		add("client_id", i.Login.Username, given{isLogin: true})
		add("client_secret", i.Login.Password, given{isLogin: true})
	}
	for _, f := range i.Fields {
		switch {
		case f.Value == nil:
		case f.Purpose == "USERNAME":
			add("client_id", *f.Value, given{isLogin: true})
		case f.Purpose == "PASSWORD":
			add("client_secret", *f.Value, given{isLogin: true})
		default:
			add(f.Name+" "+f.Label, *f.Value, given{isLoose: !f.isHidden()})
		}
	}
	return all
}
