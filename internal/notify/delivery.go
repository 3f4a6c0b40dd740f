package notify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// ReceiverStats is how one receiver is doing. Counts are of this process; times are UTC.
type ReceiverStats struct {
	Name         string
	Form         Form
	Delivered    int    // messages that it took
	Failed       int    // tries that it did not take
	Waiting      int    // messages
	Dropped      int    // messages that it will never get: refused for good, or there was no room
	DropCause    string // why the last of them was dropped
	FailingSince time.Time
	LastSuccess  time.Time
	Error        string // of the last try; "" where it was taken
}

// Stats are those of all receivers, as configured.
func (m *Messenger) Stats() []ReceiverStats {
	var out []ReceiverStats
	for _, d := range m.deliveries {
		d.mu.Lock()
		out = append(out, d.stats)
		d.mu.Unlock()
	}
	return out
}

// delivery sends what waits for one receiver, one message after the other.
type delivery struct {
	Receiver
	store Store
	now   func() time.Time
	log   *slog.Logger
	tried func(receiver string, taken bool, at time.Time)
	wake  chan struct{} // holds one

	// Run's own:
	unnoted string         // id of a message that is done with, which the state does not know yet
	later   map[int64]bool // by number: what was refused, perhaps for what it says, and lets others go first

	mu    sync.Mutex
	stats ReceiverStats
}

func newDelivery(r Receiver, o MessengerOptions) (*delivery, error) {
	d := &delivery{Receiver: r, store: o.Store, now: o.Now, log: o.Log, tried: o.Tried, wake: make(chan struct{}, 1), later: map[int64]bool{}}
	if d.tried == nil {
		d.tried = func(string, bool, time.Time) {}
	}
	waiting, known, err := o.Store.Waiting(r.Name)
	d.stats = ReceiverStats{Name: r.Name, Form: r.Form, Waiting: len(waiting), Dropped: known.Dropped, FailingSince: known.Failing, LastSuccess: known.Success, Error: known.Cause}
	if known.Dropped > 0 {
		d.stats.DropCause = noRoomWords
	}
	return d, err
}

// noRoomWords say why a message was dropped that no receiver refused.
const noRoomWords = "there was no room"

// more says that so many messages came, and so many of all were dropped for want of room.
func (d *delivery) more(came, dropped int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stats.Dropped += dropped; dropped > 0 {
		d.stats.DropCause = noRoomWords
	}
	d.stats.Waiting = max(0, d.stats.Waiting+came-dropped)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends. What a receiver did not take because it was not itself is tried
// again, after pauses that grow from a second to ten minutes; what it will never take is
// dropped.
func (d *delivery) run(ctx context.Context) {
	if err := d.Reach(ctx); err != nil && ctx.Err() == nil {
		d.log.Warn("a receiver of messages cannot be reached; what is for it waits", "receiver", d.Name, "at", d.At, "error", err.Error())
	}
	for pause := firstPause; ctx.Err() == nil; {
		after, sent, failed := d.round(ctx)
		if sent > 0 {
			pause = firstPause
		}
		switch {
		case failed:
			timer := time.NewTimer(max(pause, after))
			select {
			case <-ctx.Done():
				timer.Stop()
			case <-timer.C:
			}
			pause = min(2*pause, maxPause)
		case sent == 0:
			select {
			case <-ctx.Done():
			case <-d.wake:
			}
		}
	}
}

// round sends what waits until it is done, or a message is not taken; then after is how long
// the receiver asked to wait. A message that a receiver, or what guards it, may refuse for
// what it says goes behind the others, so that no text of anybody keeps them back.
func (d *delivery) round(ctx context.Context) (after time.Duration, sent int, failed bool) {
	waiting, known, err := d.store.Waiting(d.Name)
	if err != nil {
		d.log.Error("messages cannot be read", "receiver", d.Name, "error", err.Error())
		return 0, 0, true
	}
	d.mu.Lock()
	d.stats.Waiting = len(waiting) // one may have been sent before more was told of it
	d.mu.Unlock()
	if known.Dropped > 0 {
		if after, taken := d.try(ctx, d.dropped(known), known.Dropped); !taken {
			return after, 0, true
		}
	}
	later := map[int64]bool{}
	for _, w := range waiting {
		if d.later[w.Number] {
			later[w.Number] = true
		}
	}
	if d.later = later; len(later) == len(waiting) {
		clear(later) // all of them were: from the first one again
	}
	slices.SortStableFunc(waiting, func(a, b state.Message) int { return d.place(a) - d.place(b) })
	for _, stored := range waiting {
		var m Message
		if err := json.Unmarshal(stored.Body, &m); err != nil {
			m = Message{Schema: Schema, ID: stored.ID, At: stored.At, Title: "a message that could not be read", Items: []Item{}}
		}
		if after, taken := d.try(ctx, m, 0, stored.Number); !taken {
			return after, sent, true
		}
		sent++
	}
	return 0, sent, false
}

func (d *delivery) place(w state.Message) int {
	if d.later[w.Number] {
		return 1
	}
	return 0
}

// dropped is the message that says that others were dropped. Its id is the same as long as
// it says the same.
func (d *delivery) dropped(r state.Receiver) Message {
	text := fmt.Sprintf("%d messages for %s were dropped since %s: more than %d waited, or more than %d MiB of them; the oldest of the least severe went first. The history has what was done",
		r.Dropped, d.Name, r.Since.UTC().Format("2006-01-02 15:04 UTC"), mostWaiting, mostBytes>>20)
	kind, _ := report.KindOf(report.EventMessagesDropped)
	id := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", d.Name, r.Since, r.Dropped))
	m := Message{Schema: Schema, ID: fmt.Sprintf("%X", id[:13]), At: d.now().UTC(), Event: kind.Name, Phase: Happened, Severity: kind.Severity, Count: r.Dropped, Items: []Item{{Text: clean(text)}}}
	m.Title = title(m)
	return m
}

// try sends one message and remembers how that went. told is how much of what was dropped
// it tells; number is that of one that waits. taken is true where there is nothing left to
// do about it.
func (d *delivery) try(ctx context.Context, m Message, told int, number ...int64) (after time.Duration, taken bool) {
	if d.unnoted != "" && m.ID == d.unnoted {
		return 0, d.note(m, told, number...)
	}
	err := d.Send(ctx, m)
	if ctx.Err() != nil && err != nil {
		return 0, false // nobody knows whether it was taken; it is sent again
	}
	d.tried(d.Name, err == nil, d.now())
	refusal := (*RefusedError)(nil)
	if errors.As(err, &refusal) && refusal.Passing {
		for _, n := range number {
			d.later[n] = refusal.Content
		}
		d.fails(refusal)
		return refusal.After, false
	}
	d.mu.Lock()
	was := d.stats
	if err == nil {
		d.stats.Delivered++
		d.stats.FailingSince, d.stats.LastSuccess, d.stats.Error = time.Time{}, d.now().UTC(), ""
	} else {
		d.stats.Failed++
		d.stats.Dropped++
		d.stats.Error, d.stats.DropCause = err.Error(), err.Error()
	}
	d.mu.Unlock()
	switch {
	case err != nil:
		d.log.Error("a message is dropped: its receiver refuses it for good", "receiver", d.Name, "at", d.At, "event", string(m.Event), "id", m.ID, "error", err.Error())
	case !was.FailingSince.IsZero():
		d.log.Info("a receiver takes messages again", "receiver", d.Name, "failed_since", was.FailingSince)
	}
	return 0, d.note(m, told, number...)
}

// note saves that a message is done with. Where that fails it is tried again, and the message
// is not sent again but by another process.
func (d *delivery) note(m Message, told int, number ...int64) bool {
	d.mu.Lock()
	known := d.record()
	d.mu.Unlock()
	if err := d.store.SaveReceiver(d.Name, known, told, number...); err != nil {
		d.unnoted = m.ID
		d.log.Error("messages cannot be saved; after a restart one may be sent again, with the same id", "receiver", d.Name, "error", err.Error())
		return false
	}
	d.unnoted = ""
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Waiting = max(0, d.stats.Waiting-len(number))
	return true
}

// fails notes a try that was not taken, and says so when that begins.
func (d *delivery) fails(refusal *RefusedError) {
	d.mu.Lock()
	begins := d.stats.FailingSince.IsZero()
	if begins {
		d.stats.FailingSince = d.now().UTC()
	}
	d.stats.Failed++
	d.stats.Error = refusal.Reason
	known := d.record()
	d.mu.Unlock()
	if !begins {
		return
	}
	d.log.Warn("a receiver takes no messages; they wait, and runs go on", "receiver", d.Name, "at", d.At, "error", refusal.Reason)
	if err := d.store.SaveReceiver(d.Name, known, 0); err != nil {
		d.log.Error("messages cannot be saved", "receiver", d.Name, "error", err.Error())
	}
}

// record is what is remembered of the receiver. The caller holds mu.
func (d *delivery) record() state.Receiver {
	return state.Receiver{Success: d.stats.LastSuccess, Failing: d.stats.FailingSince, Cause: d.stats.Error}
}

// TestMessage is what `reconcile notify test` sends. The id is random.
func TestMessage(id string, at time.Time) Message {
	m := Message{Schema: Schema, ID: id, At: at.UTC(), Event: report.EventTest, Phase: Happened, Severity: report.Info, Count: 1, Items: []Item{{Text: "Messages of terra-reconcile reach you. Nothing happened."}}}
	m.Title = title(m)
	return m
}
