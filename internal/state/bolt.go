package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Read implements Backend.
func (b *boltFile) Read(fn func(Reader) error) error {
	return b.view(func(tx *bolt.Tx) error { return fn(&boltTx{records: tx.Bucket([]byte(bucketRecords))}) })
}

func (b *boltFile) view(fn func(*bolt.Tx) error) error {
	b.open.RLock()
	defer b.open.RUnlock()
	return b.guarded(func() error { return b.db.View(fn) })
}

// Epoch implements Backend.
func (b *boltFile) Epoch() (epoch int64, err error) {
	err = b.view(func(tx *bolt.Tx) error {
		epoch = number(tx.Bucket([]byte(bucketMeta)).Get([]byte(keyEpoch)))
		return nil
	})
	return epoch, err
}

// waiting is a transaction on its way to the disk.
type waiting struct {
	epoch             int64
	fn                func(Writer) error
	changed, appended bool
	done              bool
	err               error
}

// Write implements Backend. Transactions that wait while another one is synced share the
// next sync, so that many writers at once pay for few.
func (b *boltFile) Write(epoch int64, fn func(Writer) error) error {
	if err := b.check(); err != nil {
		return err
	}
	w := &waiting{epoch: epoch, fn: fn}
	b.queueing.Lock()
	b.queue = append(b.queue, w)
	b.queueing.Unlock()
	b.committing.Lock()
	defer b.committing.Unlock()
	if w.done { // another one took it along
		return w.err
	}
	b.queueing.Lock()
	batch := b.queue
	b.queue = nil
	b.queueing.Unlock()
	err := b.guarded(func() error { return b.commit(batch) })
	unpublished := error(nil)
	if err == nil && slices.ContainsFunc(batch, func(w *waiting) bool { return w.appended }) {
		unpublished = b.publish()
	}
	for _, w := range batch {
		w.done = true
		switch {
		case w.err != nil:
		case err != nil:
			w.err = err
		case w.appended:
			w.err = unpublished
		}
	}
	return w.err
}

// commit runs a batch, one after the other. What a transaction did that is refused is
// undone and stays out of what the others see.
func (b *boltFile) commit(batch []*waiting) error {
	b.open.RLock()
	defer b.open.RUnlock()
	tx, err := b.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // an error once it is committed
	meta, outbox := tx.Bucket([]byte(bucketMeta)), tx.Bucket([]byte(bucketOutbox))
	before := number(meta.Get([]byte(keyEpoch)))
	highest, changed := before, false
	for _, w := range batch {
		if w.epoch < highest {
			w.err = ErrFenced
			continue
		}
		t := &boltTx{records: tx.Bucket([]byte(bucketRecords)), outbox: outbox}
		if w.err = w.fn(t); w.err != nil {
			if err := t.undo(); err != nil {
				return err
			}
			continue
		}
		if w.changed, w.appended = len(t.changes) > 0, t.appended; w.changed {
			highest, changed = w.epoch, true
		}
	}
	if !changed {
		return nil
	}
	if highest > before {
		if err := meta.Put([]byte(keyEpoch), bytesOf(highest)); err != nil {
			return err
		}
	}
	if err := dropUntil(outbox, b.lines.lastSequence()); err != nil {
		return err
	}
	point()
	err = tx.Commit()
	point()
	return err
}

// publish writes to the history what waits in the outbox.
func (b *boltFile) publish() error {
	waiting, err := b.outboxFrom(b.lines.lastSequence() + 1)
	if err != nil {
		return err
	}
	if err := b.lines.append(b.lines.unwritten(waiting)); err != nil {
		return &UnpublishedError{Path: b.lines.path(), Cause: err}
	}
	return nil
}

// publishMissing does so for a process that was killed, of whose lines some may be
// there: a power cut may have taken out one in the middle.
func (b *boltFile) publishMissing() error {
	waiting, err := b.outboxFrom(0)
	if err == nil {
		waiting, err = b.lines.missing(waiting)
	}
	if err == nil {
		err = b.lines.append(waiting)
	}
	if err != nil {
		return fmt.Errorf("open history %s: %w", b.lines.path(), err)
	}
	return nil
}

func (b *boltFile) outboxFrom(first int64) (waiting []numbered, err error) {
	err = b.view(func(tx *bolt.Tx) error {
		cursor := tx.Bucket([]byte(bucketOutbox)).Cursor()
		for key, line := cursor.Seek(bytesOf(first)); key != nil; key, line = cursor.Next() {
			if sequenceOf(line) != number(key) {
				return &CorruptError{Path: b.path, Record: fmt.Sprintf("line %d on its way to the history", number(key)), Cause: errors.New("it is another one")}
			}
			waiting = append(waiting, numbered{number(key), bytes.Clone(line)})
		}
		return nil
	})
	return waiting, err
}

// guarded turns the panics and page faults, with which bbolt meets a damaged
// file, into a *CorruptError.
func (b *boltFile) guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = &CorruptError{Path: b.path, Cause: fmt.Errorf("%v", cause)}
		}
	}()
	return fn()
}

// Close implements Backend.
func (b *boltFile) Close() error {
	b.open.Lock()
	defer b.open.Unlock()
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close state %s: %w", b.path, err)
	}
	return nil
}

// boltTx is the Reader and Writer of one transaction.
type boltTx struct {
	records, outbox *bolt.Bucket
	changes         []change
	appended        bool
}

// change is how a key was before.
type change struct {
	bucket     *bolt.Bucket
	key, value []byte // nil: absent
}

func (t *boltTx) set(bucket *bolt.Bucket, key, value []byte) error {
	t.changes = append(t.changes, change{bucket, key, bucket.Get(key)})
	if value == nil {
		return bucket.Delete(key)
	}
	return bucket.Put(key, value)
}

func (t *boltTx) undo() error {
	for _, c := range slices.Backward(t.changes) {
		err := c.bucket.Delete(c.key)
		if c.value != nil {
			err = c.bucket.Put(c.key, c.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *boltTx) Get(a Address) ([]byte, error) { return t.records.Get([]byte(a.path())), nil }

func (t *boltTx) List(env Environment, kind string) ([]Record, error) {
	prefix := []byte(env.path())
	if kind != "" {
		prefix = append(prefix, kind+separator...)
	}
	var out []Record
	cursor := t.records.Cursor()
	for path, value := cursor.Seek(prefix); bytes.HasPrefix(path, prefix); path, value = cursor.Next() {
		address, err := addressOf(string(path))
		if err != nil {
			return nil, err
		}
		out = append(out, Record{address, value})
	}
	return out, nil
}

func (t *boltTx) Environments() ([]Environment, error) {
	var out []Environment
	cursor := t.records.Cursor()
	for path, _ := cursor.First(); path != nil; {
		address, err := addressOf(string(path))
		if err != nil {
			return nil, err
		}
		out = append(out, address.Environment)
		path, _ = cursor.Seek([]byte(address.Environment.path() + lastKind))
	}
	return out, nil
}

func (t *boltTx) Put(a Address, value []byte) error {
	if err := errors.Join(a.Check(), CheckValue(value)); err != nil {
		return err
	}
	if path := []byte(a.path()); !bytes.Equal(t.records.Get(path), value) {
		return t.set(t.records, path, value)
	}
	return nil
}

func (t *boltTx) Delete(a Address) error {
	if path := []byte(a.path()); t.records.Get(path) != nil {
		return t.set(t.records, path, nil)
	}
	return nil
}

func (t *boltTx) Append(sequence int64, line []byte) error {
	if last, _ := t.outbox.Cursor().Last(); last != nil && number(last) >= sequence {
		return fmt.Errorf("append line %d to the history: it has %d already", sequence, number(last))
	}
	if err := CheckValue(line); err != nil {
		return err
	}
	t.appended = true
	return t.set(t.outbox, bytesOf(sequence), line)
}

// dropUntil removes the lines that stand in the history from the outbox.
func dropUntil(outbox *bolt.Bucket, last int64) error {
	cursor := outbox.Cursor()
	for key, _ := cursor.First(); key != nil && number(key) <= last; key, _ = cursor.First() {
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return nil
}

func bytesOf(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n)) //nolint:gosec // counted up from 1
}

// number reads what bytesOf made, 0 where there is nothing.
func number(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // from bytesOf; a damaged one panics, as bbolt itself does
}
