package state

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// statesOfReleases has a folder for each release, with a state that it has written:
//
//	MAKE_STATE=v1.2.3 go test ./internal/state -run TestMakeStateOfRelease
//
// writes that of the release that is checked out. None of them is ever written again: a
// program that cannot go on with one would lose what people have.
const statesOfReleases = "testdata/states"

// fullKey is under which a release has put a record of each kind with every field set.
const fullKey = "every-field"

func TestMakeStateOfRelease(t *testing.T) {
	name := os.Getenv("MAKE_STATE")
	if name == "" {
		name = filepath.Join(t.TempDir(), "now")
	} else {
		name = filepath.Join(statesOfReleases, name)
	}
	must(t, os.Mkdir(name, 0o755))
	dir := t.TempDir()
	live(t, dir)
	lines, err := os.ReadFile(done.path(dir))
	must(t, err)
	// The process was killed before it could write the last line to the history.
	cut := bytes.LastIndexByte(bytes.TrimSuffix(lines, []byte("\n")), '\n') + 1
	db, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	must(t, err)
	_, err = zip.Write(db)
	must(t, errors.Join(err, zip.Close(), os.WriteFile(filepath.Join(name, fileName+".gz"), packed.Bytes(), 0o644),
		os.WriteFile(done.path(name), lines[:cut], 0o644)))
	goesOn(t, name)
}

// live does what a runner does over time: it remembers, holds, approves, pauses, rotates, tells,
// and leaves a write that it does not know the outcome of.
func live(t *testing.T, dir string) {
	t.Helper()
	s := opened(t, dir)
	approval := Approval{Hash: "sha256:abc", By: []string{"jo"}, At: noon(), Until: noon().Add(time.Hour)}
	must(t, errors.Join(
		s.SetDigestKey(nil, []byte("sealed")),
		s.SaveMemory(here(), memoryOf("strava", "garmin")),
		s.SaveCommits(here(), Commits{"production", "bbb", "aaa"}),
		s.RecordAttempt(here(), "bbb", false),
		s.SaveSourceTypes(here(), typesOffered(), noon()),
		s.SaveRevisions(nil, []Revision{{dev, "production", "bbb"}}),
		s.SaveToken(Token{API: "a", Fingerprint: "f", At: noon()}),
		s.SaveLocation(here(), "default"),
		s.SaveBranch("repository", "main"),
		s.Claim(claimOf("production", dev)),
		s.SaveFollowed("repository", Followed{Ref: "main", Newest: "bbb", Verified: []string{"bbb", "aaa"}}),
		s.SetKillSwitch(killSwitch("production", "")),
		s.SaveDigests(noon(), map[string]Digest{"sha256:a": {Value: "v", Mask: "m"}}),
		s.SaveApproval(here(), approval),
		s.UseApproval(here(), "sha256:served", noon(), noon(), "run"),
		s.SaveOpenEvents(here(), OpenEvents{Gated: map[string]GatedChange{"production/strava:pause": {Since: noon()}}}, nil),
		saveHeard(s, heardOf("ops")),
		s.RecordOnce("token", line("once")),
		s.Begin(here(), intent("open", noon())),
	))
	must(t, s.write("fill", func(w Writer) error {
		for _, k := range everyKind() {
			if err := k.put(w); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, s.Record(line("first"), line("last")))
	closed(t, s)
}

// TestStatesOfFormerReleases: this program goes on with what each former one has left, and loses
// nothing of it.
func TestStatesOfFormerReleases(t *testing.T) {
	names, err := os.ReadDir(statesOfReleases)
	must(t, err)
	if len(names) == 0 {
		t.Fatal("no state of a former release")
	}
	for _, name := range names {
		t.Run(name.Name(), func(t *testing.T) { goesOn(t, filepath.Join(statesOfReleases, name.Name())) })
	}
	t.Logf("COUNT states_of_former_releases=%d", len(names))
}

func goesOn(t *testing.T, release string) {
	t.Helper()
	dir := unpacked(t, release)
	before := recordsOf(t, dir)
	s := opened(t, dir)
	if notes := s.TakeNotes(); len(notes) > 0 || s.older {
		t.Errorf("it says %q, older %v", notes, s.older)
	}

	kept := 0
	for _, r := range before {
		again, err := reencoded(r)
		must(t, err)
		var was, is any
		must(t, errors.Join(json.Unmarshal(bodyOf(r.Value), &was), json.Unmarshal(bodyOf(again), &is)))
		if lost := missingIn("", was, is); lost != "" {
			t.Errorf("%s: %s is lost", r.Address, lost)
		}
		kept++
	}
	if kept < 40 {
		t.Errorf("%d records prove nothing", kept)
	}

	memory, err := s.Memory(here())
	must(t, err)
	pauses, err := s.KillSwitches(noon())
	must(t, err)
	approvals, err := s.Approvals(here(), noon())
	must(t, err)
	pending, err := s.Pending(here())
	must(t, err)
	messages, _, err := s.Waiting("ops")
	must(t, err)
	if len(memory.Connections) != 2 || len(pauses) != 1 || len(approvals) != 1 || len(pending) != 1 || len(messages) != 1 {
		t.Errorf("%d connections, %d pauses, %d approvals, %d writes, %d messages, want 2 and one of each", len(memory.Connections), len(pauses), len(approvals), len(pending), len(messages))
	}
	var served *UsedError
	if err := s.ApprovalUsed(here(), "sha256:served", noon()); !errors.As(err, &served) {
		t.Errorf("an approval that has served would serve again: %v", err)
	}

	// The line that was only in the outbox is there, once, and the next one follows it.
	lines, err := LinesForTest(dir)
	must(t, err)
	if !strings.Contains(lines[len(lines)-1], `"id":"last"`) {
		t.Errorf("the history ends with %s", lines[len(lines)-1])
	}
	must(t, s.Record(line("after")))
	closed(t, s)
	lines, err = LinesForTest(dir)
	must(t, err)
	var ids []string
	for i, text := range lines {
		var l struct {
			ID  string `json:"id"`
			Seq int    `json:"seq"`
		}
		must(t, json.Unmarshal([]byte(text), &l))
		ids = append(ids, l.ID)
		if l.Seq != i+1 {
			t.Errorf("line %d has the number %d", i+1, l.Seq)
		}
	}
	if want := []string{"once", "first", "last", "after"}; len(ids) < 4 || !slices.Equal(ids[len(ids)-4:], want) {
		t.Errorf("the history ends %q, want %q", ids, want)
	}
}

func unpacked(t *testing.T, release string) string {
	t.Helper()
	dir := t.TempDir()
	packed, err := os.Open(filepath.Join(release, fileName+".gz"))
	must(t, err)
	defer func() { must(t, packed.Close()) }()
	zip, err := gzip.NewReader(packed)
	must(t, err)
	db, err := io.ReadAll(zip)
	must(t, err)
	lines, err := os.ReadFile(done.path(release))
	must(t, err)
	must(t, errors.Join(os.WriteFile(filepath.Join(dir, fileName), db, 0o600), os.WriteFile(done.path(dir), lines, 0o600)))
	return dir
}

func recordsOf(t *testing.T, dir string) moment {
	t.Helper()
	b, err := openFile(filepath.Join(dir, fileName), readTimeout, true)
	must(t, err)
	all, err := momentOf(b)
	must(t, errors.Join(err, b.Close()))
	return all
}

func bodyOf(value []byte) []byte {
	_, body, _ := bytes.Cut(value, []byte(" "))
	return body
}

func reencoded(r Record) ([]byte, error) {
	for _, k := range everyKind() {
		if name, _, _ := strings.Cut(k.text, "/"); name == r.Kind {
			return k.again(r)
		}
	}
	return nil, fmt.Errorf("nothing reads %s", r.Address)
}

// missingIn gives the place of a value that is not the same any more, "" where all are.
func missingIn(place string, was, is any) string {
	switch was := was.(type) {
	case map[string]any:
		now, _ := is.(map[string]any)
		for name, value := range was {
			if lost := missingIn(place+"."+name, value, now[name]); lost != "" {
				return lost
			}
		}
	case []any:
		now, _ := is.([]any)
		if len(now) != len(was) {
			return place
		}
		for i := range was {
			if lost := missingIn(fmt.Sprintf("%s[%d]", place, i), was[i], now[i]); lost != "" {
				return lost
			}
		}
	default:
		if !reflect.DeepEqual(was, is) {
			return place
		}
	}
	return ""
}

// kindOfRecord puts a record with every field set, and decodes and encodes one again.
type kindOfRecord struct {
	text  string
	put   func(Writer) error
	again func(Record) ([]byte, error)
}

func whole[T any](k Kind[T]) kindOfRecord {
	return kindOfRecord{
		text: string(k),
		put: func(w Writer) error {
			var record T
			set(reflect.ValueOf(&record).Elem())
			return k.put(w, of(fullKey), fullKey, record)
		},
		again: func(r Record) ([]byte, error) {
			record, err := k.decode(r.Address, r.Value)
			if err != nil {
				return nil, err
			}
			return k.encode(record)
		},
	}
}

// everyKind has the kinds of kind.go.
func everyKind() []kindOfRecord {
	return []kindOfRecord{
		whole(kindKillSwitch), whole(kindSecret), whole(kindDigestKey), whole(kindRecorded), whole(kindSequence),
		whole(kindRevision), whole(kindToken), whole(kindAccount), whole(kindCustomer), whole(kindBranch), whole(kindFollowed), whole(kindNameOwner), whole(kindDevIDOwner),
		whole(kindHeard), whole(kindMessage), whole(kindReceiver), whole(kindConditions), whole(kindMemory), whole(kindConnection),
		whole(kindSourceTypes), whole(kindKeyHistory), whole(kindProbe), whole(kindCommits), whole(kindAttempted), whole(kindApproval),
		whole(kindUsed), whole(kindOpenEvents), whole(kindIntent),
	}
}

// TestEveryKindIsKnown: what is refused as newer at opening, and what the states of releases hold,
// are the kinds that kind.go declares.
func TestEveryKindIsKnown(t *testing.T) {
	source, err := os.ReadFile("kind.go")
	must(t, err)
	var declared, tested []string
	for _, m := range regexp.MustCompile(`(?m)^\tkind\w+ +Kind\[.*\] += "([a-z-]+/\d+)"`).FindAllStringSubmatch(string(source), -1) {
		declared = append(declared, m[1])
	}
	for _, k := range everyKind() {
		tested = append(tested, k.text)
	}
	known := slices.Clone(kinds())
	slices.Sort(declared)
	slices.Sort(tested)
	slices.Sort(known)
	if len(declared) < 20 || !slices.Equal(declared, known) || !slices.Equal(declared, tested) {
		t.Errorf("declared %q\nknown %q\ntested %q", declared, known, tested)
	}
}

// set gives every field a value that is not the zero one.
func set(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(noon()))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(`{"a":1}`)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				set(v.Field(i))
			}
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		set(key)
		set(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		set(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(v.Elem())
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Uint8, reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	default:
		v.SetInt(7)
	}
}

// A record that a newer program has written is refused when the state is opened, before anything
// is written: the program would go on with a part of what is known.
func TestNewerRecordIsRefusedAtOnce(t *testing.T) {
	path := filled(t)
	good, err := os.ReadFile(path)
	must(t, err)
	for name, key := range places() {
		must(t, os.WriteFile(path, good, 0o600))
		put(t, path, []byte(`2 {}`), bucketRecords, key)
		before, err := os.ReadFile(path)
		must(t, err)
		for how, open := range map[string]func(string) (*Store, error){
			"Open":         func(dir string) (*Store, error) { return Open(dir, Options{}) },
			"OpenReadOnly": OpenReadOnly,
		} {
			var newer *FormatError
			s, err := open(filepath.Dir(path))
			if err == nil {
				must(t, s.Close())
			}
			if !errors.As(err, &newer) || newer.Path != path || newer.Found != 2 || newer.Known != 1 || !strings.Contains(err.Error(), "has version 2 and this reconcile reads version 1; install the newer reconcile that wrote it again, or restore the backup from before") {
				t.Errorf("%s with a newer %s: got %v", how, name, err)
			}
		}
		after, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(before, after) {
			t.Errorf("newer %s: the file was changed", name)
		}
	}
}
