package state_test

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/state/statetest"
)

func TestBoltIsABackend(t *testing.T) {
	statetest.Run(t, func(t *testing.T) statetest.Subject {
		dir := t.TempDir()
		var open state.Backend
		t.Cleanup(func() { _ = open.Close() })
		return statetest.Subject{
			Open: func() state.Backend {
				if open != nil {
					if err := open.Close(); err != nil {
						t.Fatal(err)
					}
				}
				var err error
				if open, err = state.OpenBoltForTest(dir); err != nil {
					t.Fatal(err)
				}
				return open
			},
			Lines: func() []string {
				lines, err := state.LinesForTest(dir)
				if err != nil {
					t.Fatal(err)
				}
				return lines
			},
		}
	})
}

// The suite asks nothing that only bbolt has: a backend that knows no more than the
// contract passes.
func TestPlainMapIsABackend(t *testing.T) {
	statetest.Run(t, func(*testing.T) statetest.Subject {
		b := &mapBackend{}
		return statetest.Subject{Open: func() state.Backend { return b }, Lines: func() []string { return b.now().lines }}
	})
}

// mapBackend copies all it has for each transaction.
type mapBackend struct {
	writing, reading sync.Mutex
	mapTx
	epoch int64
}

type mapTx struct {
	records map[state.Address]string
	lines   []string
	last    int64
	changed bool
}

func (b *mapBackend) now() *mapTx {
	b.reading.Lock()
	defer b.reading.Unlock()
	return &mapTx{records: maps.Clone(b.records), lines: slices.Clone(b.lines), last: b.last}
}

func (b *mapBackend) Read(fn func(state.Reader) error) error { return fn(b.now()) }

func (b *mapBackend) Write(epoch int64, fn func(state.Writer) error) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	if epoch < b.epoch {
		return state.ErrFenced
	}
	tx := b.now()
	if err := fn(tx); err != nil || !tx.changed {
		return err
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mapTx, b.epoch = *tx, epoch
	return nil
}

func (b *mapBackend) Epoch() (int64, error) { return b.epoch, nil }
func (b *mapBackend) Close() error          { return nil }

func (tx *mapTx) Get(a state.Address) ([]byte, error) {
	if value, ok := tx.records[a]; ok {
		return []byte(value), nil
	}
	return nil, nil
}

func (tx *mapTx) List(env state.Environment, kind string) (out []state.Record, err error) {
	for a, value := range tx.records {
		if a.Environment == env && (kind == "" || a.Kind == kind) {
			out = append(out, state.Record{Address: a, Value: []byte(value)})
		}
	}
	slices.SortFunc(out, func(a, b state.Record) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key)) })
	return out, nil
}

func (tx *mapTx) Environments() (out []state.Environment, err error) {
	for a := range tx.records {
		out = append(out, a.Environment)
	}
	slices.SortFunc(out, func(a, b state.Environment) int {
		return cmp.Or(cmp.Compare(a.API, b.API), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.DevID, b.DevID))
	})
	return slices.Compact(out), nil
}

func (tx *mapTx) Put(a state.Address, value []byte) error {
	if err := errors.Join(a.Check(), state.CheckValue(value)); err != nil {
		return err
	}
	if tx.records == nil {
		tx.records = map[state.Address]string{}
	}
	if old, ok := tx.records[a]; !ok || old != string(value) {
		tx.records[a], tx.changed = string(value), true
	}
	return nil
}

func (tx *mapTx) Delete(a state.Address) error {
	if _, ok := tx.records[a]; ok {
		delete(tx.records, a)
		tx.changed = true
	}
	return nil
}

func (tx *mapTx) Append(sequence int64, line []byte) error {
	if sequence <= tx.last {
		return errors.New("the history has that number already")
	}
	tx.lines, tx.last, tx.changed = append(tx.lines, string(line)), sequence, true
	return state.CheckValue(line)
}
