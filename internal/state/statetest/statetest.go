package statetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
)

// Subject is one state, empty at first.
type Subject struct {
	// Open opens it as another process would after the one before has ended: what was
	// opened before is closed.
	Open func() state.Backend
	// Lines gives what anybody who reads the history finds now.
	Lines func() []string
}

// Run runs the suite. Each part gets a subject of its own.
func Run(t *testing.T, subject func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"absent is not empty":                absent,
		"records are sorted and kept":        sorted,
		"all or nothing":                     atomic,
		"a writer sees its changes":          ownChanges,
		"writes are serial":                  serial,
		"a read is one moment":               oneMoment,
		"nothing changed is nothing written": unchanged,
		"a former epoch is refused":          fenced,
		"lines come in order, once":          lines,
		"what it takes and what it refuses":  sizes,
		"bytes are copied":                   copies,
		"any sequence of changes":            model,
	} {
		t.Run(name, func(t *testing.T) { test(t, subject(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(devID, kind, key string) state.Address {
	return state.Address{Environment: state.Environment{API: "https://api.example", Customer: "c", DevID: devID}, Kind: kind, Key: key}
}

func put(t *testing.T, b state.Backend, epoch int64, a state.Address, value string) {
	t.Helper()
	must(t, b.Write(epoch, func(w state.Writer) error { return w.Put(a, []byte(value)) }))
}

func get(t *testing.T, b state.Backend, a state.Address) (value string) {
	t.Helper()
	must(t, b.Read(func(r state.Reader) error {
		found, err := r.Get(a)
		value = string(found)
		return err
	}))
	return value
}

// all gives every record as text.
func all(t *testing.T, b state.Backend) map[state.Address]string {
	t.Helper()
	out := map[state.Address]string{}
	must(t, b.Read(func(r state.Reader) error {
		clear(out)
		environments, err := r.Environments()
		for _, env := range environments {
			if err != nil {
				return err
			}
			var records []state.Record
			records, err = r.List(env, "")
			for _, record := range records {
				out[record.Address] = string(record.Value)
			}
		}
		return err
	}))
	return out
}

func epochOf(t *testing.T, b state.Backend) int64 {
	t.Helper()
	epoch, err := b.Epoch()
	must(t, err)
	return epoch
}

func absent(t *testing.T, s Subject) {
	b := s.Open()
	a := at("prod", "approval", "")
	if epoch := epochOf(t, b); epoch != 0 {
		t.Errorf("epoch of a new state: %d", epoch)
	}
	for range 2 {
		must(t, b.Read(func(r state.Reader) error {
			value, err := r.Get(a)
			if value != nil || err != nil {
				t.Errorf("get: got %q, %v, want nil", value, err)
			}
			records, err := r.List(a.Environment, "")
			if len(records) != 0 || err != nil {
				t.Errorf("list: got %v, %v, want none", records, err)
			}
			environments, err := r.Environments()
			if len(environments) != 0 || err != nil {
				t.Errorf("environments: got %v, %v, want none", environments, err)
			}
			return nil
		}))
		must(t, b.Write(1, func(w state.Writer) error { return w.Delete(a) }))
		put(t, b, 1, a, "x")
		must(t, b.Write(1, func(w state.Writer) error { return w.Delete(a) }))
	}
	must(t, errors.Join(b.Close(), b.Close()))
}

func sorted(t *testing.T, s Subject) {
	prod, other := at("prod", "", "").Environment, at("prod", "", "").Environment
	other.Customer = "d"
	var want []state.Address
	for _, env := range []state.Environment{{}, {DevID: "prod"}, {API: "https://api.example", Customer: "c", DevID: "pro"}, prod,
		{API: "https://api.example", Customer: "c", DevID: "prod-2"}, other, {API: "https://emulator", Customer: "c", DevID: "prod"}} {
		for _, kind := range []string{"key", "key-history", "token"} {
			for _, key := range []string{"", "a", "a/b", "ab", "b c", "é"} {
				want = append(want, state.Address{Environment: env, Kind: kind, Key: key})
			}
		}
	}
	b := s.Open()
	shuffled := slices.Clone(want)
	//nolint:gosec // an order, not a secret
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for half := range slices.Chunk(shuffled, len(shuffled)/2) {
		must(t, b.Write(1, func(w state.Writer) error {
			for _, a := range half {
				if err := w.Put(a, []byte(fmt.Sprint(a))); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for range 2 {
		var got []state.Address
		must(t, b.Read(func(r state.Reader) error {
			got = nil
			environments, err := r.Environments()
			for _, env := range environments {
				records, err := r.List(env, "")
				if err != nil {
					return err
				}
				for _, record := range records {
					got = append(got, record.Address)
					if string(record.Value) != fmt.Sprint(record.Address) {
						t.Errorf("%v: got %q", record.Address, record.Value)
					}
				}
			}
			one, err2 := r.List(prod, "key")
			if len(one) != 6 || one[1].Key != "a" || one[1].Environment != prod {
				t.Errorf("list of one kind: got %v", one)
			}
			return errors.Join(err, err2)
		}))
		if !slices.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		b = s.Open()
	}
}

func atomic(t *testing.T, s Subject) {
	b := s.Open()
	a, kept := at("prod", "memory", ""), at("prod", "memory", "kept")
	put(t, b, 1, kept, "kept")
	failure := errors.New("changed my mind")
	err := b.Write(2, func(w state.Writer) error {
		must(t, errors.Join(w.Put(a, []byte("x")), w.Put(kept, []byte("other")), w.Delete(kept), w.Append(1, []byte(`{"seq":1}`))))
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want the error of the function", err)
	}
	for range 2 {
		if got := all(t, b); len(got) != 1 || got[kept] != "kept" {
			t.Errorf("got %v, want what was there", got)
		}
		if found, epoch := s.Lines(), epochOf(t, b); len(found) > 0 || epoch != 1 {
			t.Errorf("lines %q, epoch %d", found, epoch)
		}
		b = s.Open()
	}
}

func ownChanges(t *testing.T, s Subject) {
	b := s.Open()
	a, gone := at("prod", "memory", "a"), at("prod", "memory", "gone")
	put(t, b, 1, gone, "x")
	must(t, b.Write(1, func(w state.Writer) error {
		must(t, errors.Join(w.Delete(gone), w.Put(a, []byte("first")), w.Put(a, []byte("second"))))
		value, err := w.Get(a)
		records, err2 := w.List(a.Environment, "memory")
		if string(value) != "second" || len(records) != 1 || records[0].Address != a {
			t.Errorf("got %q, %v", value, records)
		}
		return errors.Join(err, err2)
	}))
	if got := get(t, b, a); got != "second" {
		t.Errorf("afterwards: got %q", got)
	}
}

func serial(t *testing.T, s Subject) {
	b := s.Open()
	const writers, times = 8, 12
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range times {
				err := b.Write(1, func(w state.Writer) error {
					a := at("prod", "count", "")
					value, err := w.Get(a)
					n := 0
					if value != nil {
						_, err = fmt.Sscan(string(value), &n)
					}
					return errors.Join(err, w.Put(a, []byte(fmt.Sprint(n+1))), w.Append(int64(n+1), fmt.Appendf(nil, `{"seq":%d}`, n+1)))
				})
				if err != nil {
					t.Error(err)
				}
				refused := b.Write(1, func(w state.Writer) error {
					n := int64(writers*times + 1)
					err := errors.Join(w.Put(at("prod", "count", ""), []byte("0")), w.Put(at("prod", "count", "more"), []byte("0")), w.Append(n, fmt.Appendf(nil, `{"seq":%d}`, n)))
					return cmp.Or(err, state.ErrReadOnly)
				})
				if !errors.Is(refused, state.ErrReadOnly) {
					t.Error(refused)
				}
			}
		})
	}
	group.Wait()
	if got := all(t, b); len(got) != 1 {
		t.Errorf("refused ones left %v", got)
	}
	if got := get(t, b, at("prod", "count", "")); got != fmt.Sprint(writers*times) {
		t.Errorf("counted %s, want %d", got, writers*times)
	}
	for i, line := range s.Lines() {
		if want := fmt.Sprintf(`{"seq":%d}`, i+1); line != want {
			t.Fatalf("line %d: got %s", i, line)
		}
	}
	if n := len(s.Lines()); n != writers*times {
		t.Errorf("%d lines, want %d", n, writers*times)
	}
}

func oneMoment(t *testing.T, s Subject) {
	b := s.Open()
	left, right := at("a", "half", ""), at("b", "half", "")
	write := func(n int) error {
		return b.Write(1, func(w state.Writer) error {
			return errors.Join(w.Put(left, []byte(fmt.Sprint(n))), w.Put(right, []byte(fmt.Sprint(n))))
		})
	}
	must(t, write(0))
	var group sync.WaitGroup
	group.Go(func() {
		for n := range 60 {
			if err := write(n); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		group.Go(func() {
			for range 100 {
				err := b.Read(func(r state.Reader) error {
					first, err := r.Get(left)
					second, err2 := r.Get(right)
					again, err3 := r.Get(left)
					if !bytes.Equal(first, second) || !bytes.Equal(first, again) {
						t.Errorf("one read: got %q, %q, %q", first, second, again)
					}
					return errors.Join(err, err2, err3)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func unchanged(t *testing.T, s Subject) {
	b := s.Open()
	a := at("prod", "memory", "")
	put(t, b, 1, a, "same")
	put(t, b, 2, a, "same")
	must(t, b.Write(3, func(w state.Writer) error { return w.Delete(at("prod", "memory", "absent")) }))
	must(t, b.Write(4, func(state.Writer) error { return nil }))
	if epoch := epochOf(t, b); epoch != 1 {
		t.Errorf("epoch: got %d, want 1: what changes nothing takes nothing over", epoch)
	}
}

func fenced(t *testing.T, s Subject) {
	b := s.Open()
	a := at("prod", "intent", "")
	put(t, b, 5, a, "of 5")
	put(t, b, 7, a, "of 7")
	for range 2 {
		ran := false
		err := b.Write(6, func(w state.Writer) error {
			ran = true
			return errors.Join(w.Put(a, []byte("of 6")), w.Append(1, []byte(`{"seq":1}`)))
		})
		if !errors.Is(err, state.ErrFenced) || ran {
			t.Errorf("a former epoch: got %v, its function ran: %v", err, ran)
		}
		if got, epoch := get(t, b, a), epochOf(t, b); got != "of 7" || epoch != 7 || len(s.Lines()) > 0 {
			t.Errorf("got %q, epoch %d, lines %q", got, epoch, s.Lines())
		}
		b = s.Open() // and another process knows it too
	}
	put(t, b, 7, a, "of 7 again")
	put(t, b, 8, a, "of 8")
}

func lines(t *testing.T, s Subject) {
	var want []string
	b := s.Open()
	for n := int64(1); n <= 20; n += 2 {
		must(t, b.Write(n, func(w state.Writer) error {
			for _, sequence := range []int64{n, n + 1} {
				if err := w.Append(sequence, fmt.Appendf(nil, `{"seq":%d}`, sequence)); err != nil {
					return err
				}
			}
			return nil
		}))
		want = append(want, fmt.Sprintf(`{"seq":%d}`, n), fmt.Sprintf(`{"seq":%d}`, n+1))
		if got := s.Lines(); !slices.Equal(got, want) {
			t.Fatalf("after the transaction: got %q, want %q", got, want)
		}
		err := b.Write(n, func(w state.Writer) error {
			return errors.Join(w.Append(n+3, []byte(`{"seq":9}`)), w.Append(n+3, []byte(`{"seq":9}`)))
		})
		if err == nil {
			t.Error("a number twice: got no error")
		}
		if n%5 == 0 {
			b = s.Open()
		}
	}
	if got := s.Lines(); !slices.Equal(got, want) {
		t.Errorf("at the end: got %q, want %q", got, want)
	}
}

func sizes(t *testing.T, s Subject) {
	b := s.Open()
	a := at("prod", "memory", "")
	long := a
	long.Key = strings.Repeat("k", state.MaxAddress-len(a.API+a.Customer+a.DevID+a.Kind)-4)
	longer := long
	longer.Key += "k"
	zero := a
	zero.DevID = "a\x00b"
	most := bytes.Repeat([]byte("v"), state.MaxValue)
	for name, row := range map[string]struct {
		address state.Address
		value   []byte
		refused bool
	}{
		"the longest address":  {long, []byte("v"), false},
		"one byte more":        {longer, []byte("v"), true},
		"no kind":              {state.Address{Environment: a.Environment}, []byte("v"), true},
		"a NUL":                {zero, []byte("v"), true},
		"the largest record":   {a, most, false},
		"one byte too many":    {a, append(most, 'v'), true},
		"an empty record":      {a, nil, true},
		"any bytes":            {a, []byte("\x00\xff\n"), false},
		"a zero environment's": {state.Address{Kind: "kill-switch", Key: "production/strava"}, []byte("v"), false},
	} {
		err := b.Write(1, func(w state.Writer) error { return w.Put(row.address, row.value) })
		if (err != nil) != row.refused {
			t.Errorf("%s: got %v", name, err)
		}
		if got := get(t, b, row.address); err == nil && got != string(row.value) {
			t.Errorf("%s: %d bytes came back of %d", name, len(got), len(row.value))
		}
	}
	must(t, b.Write(1, func(w state.Writer) error {
		for n := range 5000 {
			if err := w.Put(at("many", "secrets-cache", fmt.Sprint(n)), []byte("digest")); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, b.Write(1, func(w state.Writer) error {
		records, err := w.List(at("many", "", "").Environment, "secrets-cache")
		if len(records) != 5000 {
			t.Errorf("%d records in one transaction", len(records))
		}
		for _, record := range records {
			err = cmp.Or(err, w.Delete(record.Address))
		}
		return err
	}))
	if left := all(t, b); len(left) != 3 {
		t.Errorf("%d records are left", len(left))
	}
}

func copies(t *testing.T, s Subject) {
	b := s.Open()
	value, line := []byte("before"), []byte(`{"seq":1}`)
	must(t, b.Write(1, func(w state.Writer) error {
		return errors.Join(w.Put(at("prod", "memory", ""), value), w.Append(1, line))
	}))
	copy(value, "after!")
	copy(line, "XXXXXX")
	if got := get(t, b, at("prod", "memory", "")); got != "before" {
		t.Errorf("got %q", got)
	}
	if got := s.Lines(); len(got) != 1 || got[0] != `{"seq":1}` {
		t.Errorf("got %q", got)
	}
}

// model holds the backend to a map, through refused and reopened transactions.
func model(t *testing.T, s Subject) {
	seed := rand.Uint64()                    //nolint:gosec // steps of a test, not a secret
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same
	want, b := map[state.Address]string{}, s.Open()
	for step := range 150 {
		next, refuse := maps.Clone(want), random.IntN(5) == 0
		err := b.Write(1, func(w state.Writer) error {
			for range random.IntN(6) {
				a := at(fmt.Sprint(random.IntN(3)), fmt.Sprint("k", random.IntN(3)), fmt.Sprint(random.IntN(4)))
				var err error
				if random.IntN(3) == 0 {
					delete(next, a)
					err = w.Delete(a)
				} else {
					next[a] = fmt.Sprint("value ", random.IntN(3))
					err = w.Put(a, []byte(next[a]))
				}
				if err != nil {
					return err
				}
			}
			if refuse {
				return state.ErrReadOnly
			}
			return nil
		})
		if errors.Is(err, state.ErrReadOnly) != refuse || err != nil && !refuse {
			t.Fatalf("step %d of seed %d: %v", step, seed, err)
		}
		if !refuse {
			want = next
		}
		if random.IntN(20) == 0 {
			b = s.Open()
		}
		if got := all(t, b); !maps.Equal(got, want) {
			t.Fatalf("step %d of seed %d: got %v, want %v", step, seed, got, want)
		}
	}
}
