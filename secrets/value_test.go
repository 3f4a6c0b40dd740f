package secrets

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

const planted = "zq7!Wx-pl4nted+kYv/9uTgJ"

type hidden struct {
	Name   string
	value  Value
	ptr    *Value
	list   []Value
	byName map[string]Value
}

type shown struct {
	Value Value            `json:"value" yaml:"value" xml:"value"`
	Ptr   *Value           `json:"ptr" yaml:"ptr" xml:"ptr"`
	List  []Value          `json:"list" yaml:"list" xml:"list"`
	Map   map[string]Value `json:"map" yaml:"map" xml:"-"`
}

type embedding struct{ Value }

// holders returns the planted secret in every kind of wrapping.
func holders(text string) map[string]any {
	v := NewValue([]byte(text))
	h := hidden{Name: "h", value: v, ptr: &v, list: []Value{v}, byName: map[string]Value{"k": v}}
	s := shown{Value: v, Ptr: &v, List: []Value{v}, Map: map[string]Value{"k": v}}
	inner := struct{ h hidden }{h}
	return map[string]any{
		"value": v, "pointer": &v, "slice": []Value{v}, "array": [1]Value{v}, "map": map[string]Value{"k": v},
		"exported": s, "exported pointer": &s, "unexported": h, "unexported pointer": &h, "nested": inner,
		"embedded": embedding{v}, "interface": struct{ any }{v}, "reflected": reflect.ValueOf(v),
		"slice of holders": []hidden{h}, "error": fmt.Errorf("open: %v", v), "channel": make(chan Value),
		"digester": NewDigester([32]byte([]byte(text + "01234567"))),
	}
}

func TestNoVerbPrintsAValue(t *testing.T) {
	printed := 0
	for name, holder := range holders(planted) {
		for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "12", ".3", "#.2", "[1]", "*"} {
			for verb := 'A'; verb <= 'z'; verb++ {
				args := []any{holder}
				if flags == "*" {
					args = []any{3, holder}
				}
				out := fmt.Sprintf("%"+flags+string(verb), args...)
				if piece := leaks(out, planted); piece != "" {
					t.Fatalf("%s printed with %%%s%c shows %q", name, flags, verb, piece)
				}
				printed++
			}
		}
		for _, out := range []string{fmt.Sprint(holder), fmt.Sprintln(holder), fmt.Errorf("x: %w", errors.New(fmt.Sprint(holder))).Error()} {
			if piece := leaks(out, planted); piece != "" {
				t.Fatalf("%s printed without a verb shows %q", name, piece)
			}
		}
	}
	fmt.Printf("COUNT secret_format_checks=%d\n", printed)
	v := NewValue([]byte(planted))
	for _, out := range []string{
		fmt.Sprintf("%v", v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%40s", v), fmt.Sprintf("%q", v),
		fmt.Sprintf("%x", v), fmt.Sprintf("%d", v), fmt.Sprintf("%d", &v), v.String(), v.GoString(),
	} {
		if out != redacted {
			t.Errorf("got %q, want the fixed word %s", out, redacted)
		}
	}
}

func TestNoLoggerOrEncoderPrintsAValue(t *testing.T) {
	for name, holder := range holders(planted) {
		var out bytes.Buffer
		for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
			log.Info("one", slog.Any("v", holder), slog.Group("g", slog.Any("w", holder)))
			log.With(slog.Any("w", holder)).Warn("two", slog.String("text", fmt.Sprint(holder)))
		}
		encode := func(kind string, err error) {
			if err != nil {
				fmt.Fprintf(&out, "%s: %v\n", kind, err)
			}
		}
		encode("json", json.NewEncoder(&out).Encode(holder))
		encode("xml", xml.NewEncoder(&out).Encode(holder))
		encode("gob", gob.NewEncoder(&out).Encode(holder))
		encode("yaml", encodeYAML(&out, holder))
		encode("template", template.Must(template.New("t").Parse("{{.}} {{printf \"%#v\" .}} {{js .}} {{html .}}")).Execute(&out, holder))
		if out.Len() == 0 {
			t.Fatalf("%s: nothing was written, so nothing was tested", name)
		}
		if piece := leaks(out.String(), planted); piece != "" {
			t.Errorf("%s shows %q in\n%s", name, piece, out.String())
		}
	}
}

// encodeYAML turns the panic of yaml.v3 on a channel into an error.
func encodeYAML(out *bytes.Buffer, holder any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return yaml.NewEncoder(out).Encode(holder)
}

func TestEncodersRefuseAValue(t *testing.T) {
	s := shown{Value: NewValue([]byte(planted))}
	_, jsonErr := json.Marshal(s)
	_, xmlErr := xml.Marshal(s)
	for kind, err := range map[string]error{
		"json": jsonErr, "xml": xmlErr,
		"gob": gob.NewEncoder(&bytes.Buffer{}).Encode(s), "yaml": encodeYAML(&bytes.Buffer{}, s),
		"json in": json.Unmarshal([]byte(`{"value":"typed in"}`), &shown{}),
		"yaml in": yaml.Unmarshal([]byte("value: typed in\n"), &shown{}),
	} {
		if err == nil || !strings.Contains(err.Error(), ErrUnprintable.Error()) {
			t.Errorf("%s: got %v, want a refusal", kind, err)
		}
	}
}

func TestComparisonsDoNotPrintAValue(t *testing.T) {
	everything := cmp.Exporter(func(reflect.Type) bool { return true })
	other := holders("another-" + strings.ToUpper(planted))
	for name, holder := range holders(planted) {
		if name == "reflected" {
			continue // cmp calls reflect.Value.Equal, which panics on closures
		}
		for _, diff := range []string{
			cmp.Diff(holder, other[name], everything), cmp.Diff(nil, holder, everything),
			cmp.Diff([]any{}, []any{holder}, everything), cmp.Diff(map[string]any{}, map[string]any{"k": holder}, everything),
		} {
			if piece := leaks(diff, planted); piece != "" {
				t.Errorf("%s: cmp shows %q in\n%s", name, piece, diff)
			}
		}
	}
	a, b := NewValue([]byte(planted)), NewValue([]byte(planted))
	if diff := cmp.Diff(shown{Value: a}, shown{Value: b}); diff != "" {
		t.Errorf("equal secrets differ for cmp:\n%s", diff)
	}
}

// TestReflectionFindsNoValue walks like the most curious printer would: through
// unexported fields and pointers.
func TestReflectionFindsNoValue(t *testing.T) {
	for name, holder := range holders(planted) {
		if name == "error" || name == "reflected" {
			continue // already text; a reflect.Value is walked as what it holds
		}
		if text := curiousWalk(reflect.ValueOf(holder), 0); leaks(text, planted) != "" {
			t.Errorf("%s: found %q by reflection", name, text)
		}
	}
	if text := curiousWalk(reflect.ValueOf(struct{ p *string }{new(string(planted))}), 0); text != planted {
		t.Errorf("the walk finds %q behind a pointer, want %q: it proves nothing", text, planted)
	}
}

func curiousWalk(v reflect.Value, depth int) string {
	if depth > 20 {
		return ""
	}
	var out strings.Builder
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return curiousWalk(v.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			out.WriteString(curiousWalk(v.Index(i), depth+1))
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			out.WriteString(curiousWalk(it.Key(), depth+1) + curiousWalk(it.Value(), depth+1))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			out.WriteString(curiousWalk(v.Field(i), depth+1))
		}
	case reflect.Uint8:
		return string(rune(v.Uint()))
	}
	return out.String()
}

func TestPanicDoesNotPrintAValue(t *testing.T) {
	if how := os.Getenv("SECRETS_TEST_PANIC"); how != "" {
		panic(holders(planted)[how])
	}
	for _, how := range []string{"value", "pointer", "exported", "unexported", "embedded", "error"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPanicDoesNotPrintAValue$")
		cmd.Env = append(os.Environ(), "SECRETS_TEST_PANIC="+how)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "panic: ") {
			t.Fatalf("%s: got %v, want a panic; output %q", how, err, out)
		}
		if piece := leaks(string(out), planted); piece != "" {
			t.Errorf("%s: the panic shows %q", how, piece)
		}
	}
}

func TestValueKeepsItsText(t *testing.T) {
	raw := []byte(planted)
	v := NewValue(raw)
	raw[0] = '#'
	if got := v.Reveal(); got != planted {
		t.Errorf("got %q, want the text as it was given", got)
	}
	same, other, none := NewValue([]byte(planted)), NewValue([]byte(planted+"x")), Value{}
	for _, c := range []struct {
		name string
		got  bool
		want bool
	}{
		{"same text", v.Equal(same), true},
		{"other text", v.Equal(other), false},
		{"text and none", v.Equal(none), false},
		{"none and none", none.Equal(NewValue(nil)), true},
		{"zero of text", v.IsZero(), false},
		{"zero of none", none.IsZero(), true},
		{"zero of empty", NewValue([]byte{}).IsZero(), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, c.got, c.want)
		}
	}
	if got := none.Reveal(); got != "" {
		t.Errorf("the zero Value reveals %q, want nothing", got)
	}
	if reflect.TypeOf(v).Comparable() {
		t.Error("Values compare with ==, which is not constant in time")
	}
}
