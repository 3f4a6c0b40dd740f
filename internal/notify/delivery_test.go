package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
)

// fickle is a receiver that answers, fails or hangs as a test says.
type fickle struct {
	mu    sync.Mutex
	mode  string // "" takes; else a code, or hang
	wall  string // what holds this is answered by 403, whatever the mode
	tries []time.Time
	taken []string // ids
}

// came are the ids that it took, and when it was tried.
func (f *fickle) came() (taken []string, tries []time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.taken), slices.Clone(f.tries)
}

func (f *fickle) set(mode string) { f.mu.Lock(); defer f.mu.Unlock(); f.mode = mode }

func (f *fickle) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	mode := f.mode
	if r.Method == http.MethodPost {
		if body, err := io.ReadAll(r.Body); err != nil || f.wall != "" && strings.Contains(string(body), f.wall) {
			mode = "403"
		}
		f.tries = append(f.tries, time.Now())
		if mode == "" {
			f.taken = append(f.taken, r.Header.Get(headerID))
		}
	}
	f.mu.Unlock()
	answer := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok"))}
	switch mode {
	case "":
	case "hang":
		<-r.Context().Done()
		return nil, r.Context().Err()
	default:
		_, _ = fmt.Sscan(mode, &answer.StatusCode)
	}
	return answer, nil
}

// sending is a desk whose receivers are fickle, and runs until stop.
func sending(t *testing.T, dir string, receivers ...*fickle) (d *desk, stop func()) {
	t.Helper()
	return sendingBy(t, dir, func(s Store) Store { return s }, receivers...)
}

// sendingBy is sending where deliveries use another store.
func sendingBy(t *testing.T, dir string, by func(Store) Store, receivers ...*fickle) (d *desk, stop func()) {
	t.Helper()
	var route Route
	for i := range receivers {
		route.Receivers = append(route.Receivers, fmt.Sprintf("r%d", i))
	}
	d = newDesk(t, dir, route)
	d.o.Now = time.Now
	for i, delivery := range d.deliveries {
		delivery.now, delivery.store = time.Now, by(delivery.store)
		delivery.Address, delivery.Transport = func() (string, error) { return "https://hooks.example/x", nil }, receivers[i]
		delivery.Secret = func() (string, error) { return planted, nil }
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx, func() {}) }()
	return d, func() {
		cancel()
		began := time.Now()
		<-done
		if took := time.Since(began); took > 0 {
			t.Errorf("the stop took %s", took)
		}
	}
}

func (f *fickle) unique(t *testing.T) []string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.taken)
	slices.Sort(out)
	if n := len(slices.Compact(slices.Clone(out))); n != len(out) {
		t.Errorf("%d of %d are there twice", len(out)-n, len(out))
	}
	return out
}

// TestReceiverFailsHangsAndComesBack: nothing is lost and nothing comes twice; the pauses grow
// to ten minutes; the other receiver and who tells do not notice.
func TestReceiverFailsHangsAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bad, good := &fickle{mode: "503"}, &fickle{}
		d, stop := sending(t, t.TempDir(), bad, good)
		began := time.Now()
		d.record(wrote("strava", "failed"), wrote("oura", "applied"))
		d.Look()
		if took := time.Since(began); took > 0 {
			t.Errorf("telling took %s", took)
		}
		synctest.Wait()
		if len(good.unique(t)) != 2 || len(bad.unique(t)) != 0 {
			t.Errorf("good has %d, bad has %d", len(good.unique(t)), len(bad.unique(t)))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		_, tries := bad.came()
		if n := len(tries); n < 10 || n > 20 {
			t.Fatalf("%d tries in an hour", n)
		}
		if last := tries[len(tries)-1].Sub(tries[len(tries)-2]); last != maxPause {
			t.Errorf("the last pause was %s", last)
		}
		s := d.Stats()[0]
		if s.Waiting != 2 || s.Delivered != 0 || s.Failed < 10 || s.FailingSince.IsZero() || !strings.Contains(s.Error, "it answered 503") {
			t.Errorf("stats: %+v", s)
		}
		bad.set("hang")
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := d.Stats()[0]; !strings.Contains(s.Error, "no answer within") {
			t.Errorf("stats: %+v", s)
		}
		bad.set("")
		time.Sleep(maxPause + deadline)
		synctest.Wait()
		if len(bad.unique(t)) != 2 || !slices.Equal(bad.unique(t), good.unique(t)) {
			t.Errorf("bad has %v, good %v", bad.unique(t), good.unique(t))
		}
		s = d.Stats()[0]
		if s.Waiting != 0 || s.Delivered != 2 || !s.FailingSince.IsZero() || s.LastSuccess.IsZero() || s.Error != "" {
			t.Errorf("stats: %+v", s)
		}
		if text := d.log.String(); strings.Count(text, "takes no messages") != 1 || strings.Count(text, "takes messages again") != 1 {
			t.Errorf("log:\n%s", text)
		}
		bad.set("hang")
		d.record(wrote("strava", "failed"))
		d.Look()
		synctest.Wait()
		stop()
	})
}

// TestDeliveryOutlivesTheProcess: what a receiver had not taken goes to it from the next
// process, under the same id.
func TestDeliveryOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir, r := t.TempDir(), &fickle{}
		d, stop := sending(t, dir, r)
		d.record(wrote("strava", "failed"))
		d.Look()
		synctest.Wait()
		r.set("hang")
		d.record(wrote("oura", "failed"))
		d.Look()
		synctest.Wait()
		all, _, err := d.store.Waiting("r0")
		if err != nil || len(all) != 1 {
			t.Fatalf("%d wait, %v", len(all), err)
		}
		stop()
		if _, of, err := d.store.Waiting("r0"); !of.Failing.IsZero() || err != nil || strings.Contains(d.log.String(), "takes no messages") {
			t.Errorf("the end of a process is no failure: %+v, %v\n%s", of, err, d.log.String())
		}
		_ = d.store.Close()
		r.set("")
		_, stop = sending(t, dir, r)
		synctest.Wait()
		if got := r.unique(t); len(got) != 2 || !slices.Contains(got, all[0].ID) {
			t.Errorf("got %v, want %s among two", got, all[0].ID)
		}
		stop()
	})
}

// TestRefusedForGood: it is dropped, which is said, and the next one goes on.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &fickle{mode: "400"}
		d, stop := sending(t, t.TempDir(), r)
		d.record(wrote("strava", "failed"))
		d.Look()
		synctest.Wait()
		if s := d.Stats()[0]; s.Dropped != 1 || s.Waiting != 0 || !strings.Contains(s.Error, "it answered 400") {
			t.Errorf("stats: %+v", s)
		}
		if !strings.Contains(d.log.String(), "refuses it for good") {
			t.Errorf("log:\n%s", d.log.String())
		}
		r.set("")
		d.record(wrote("oura", "failed"))
		d.Look()
		synctest.Wait()
		if len(r.unique(t)) != 1 {
			t.Errorf("got %v", r.unique(t))
		}
		if s := d.Stats()[0]; s.Error != "" || !strings.Contains(s.DropCause, "it answered 400") {
			t.Errorf("it takes messages again: %+v", s)
		}
		d.deliveries[0].more(1, 0) // who tells of a message may come after who has sent it
		synctest.Wait()
		if s := d.Stats()[0]; s.Waiting != 0 {
			t.Errorf("stats: %+v", s)
		}
		stop()
	})
}

// TestOverflowIsTold: what there is no room for is dropped, the least severe first, and the
// receiver is told once it takes messages again.
func TestOverflowIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &fickle{mode: "503"}
		d, stop := sending(t, t.TempDir(), r)
		pieces := make([]piece, 0, mostWaiting)
		for n := range mostWaiting + 2 {
			pieces = append(pieces, piece{event: "applied", environment: fmt.Sprint(n)})
		}
		heard := state.Heard{Most: mostWaiting, MostBytes: mostBytes, Messages: d.addressed(together(pieces, start()))}
		dropped, err := d.store.SaveHeard(heard)
		if err != nil {
			t.Fatal(err)
		}
		d.deliveries[0].more(mostWaiting+2, dropped["r0"])
		synctest.Wait()
		d.record(wrote("strava", "failed"))
		d.Look()
		if s := d.Stats()[0]; s.Waiting != mostWaiting || s.Dropped != 3 || s.DropCause != noRoomWords {
			t.Errorf("stats: %+v", s)
		}
		if restarted, err := newDelivery(d.deliveries[0].Receiver, d.o); err != nil || restarted.stats.DropCause != noRoomWords {
			t.Errorf("after a restart %+v, %v", restarted.stats, err)
		}
		synctest.Wait()
		r.set("")
		time.Sleep(maxPause)
		synctest.Wait()
		if n := len(r.unique(t)); n != mostWaiting+1 {
			t.Errorf("%d came, want all that had room and the one that tells of the rest", n)
		}
		if _, of, err := d.store.Waiting("r0"); of.Dropped != 0 || err != nil {
			t.Errorf("it is told again: %+v, %v", of, err)
		}
		stop()
	})
}

// TestOverflowOfBytesIsTold: a few large messages take the room of many, and what was dropped
// for that is counted exactly, in what is shown and in what the receiver is told.
func TestOverflowOfBytesIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &fickle{mode: "503"}
		d, stop := sending(t, t.TempDir(), r)
		var large []state.Message
		for n := range 6 {
			body, err := json.Marshal(Message{ID: fmt.Sprint("large", n), Title: strings.Repeat("x", mostBytes/5)})
			if err != nil {
				t.Fatal(err)
			}
			large = append(large, state.Message{ID: fmt.Sprint("large", n), Body: body})
		}
		dropped, err := d.store.SaveHeard(state.Heard{Most: mostWaiting, MostBytes: 2 * mostBytes, Messages: map[string][]state.Message{"r0": large}})
		if err != nil || dropped["r0"] > 0 {
			t.Fatal(dropped, err)
		}
		d.deliveries[0].more(len(large), 0)
		synctest.Wait()
		d.record(wrote("strava", "failed"))
		d.Look()
		if s := d.Stats()[0]; s.Waiting != 5 || s.Dropped != 2 {
			t.Errorf("stats: %+v, want five that wait and two dropped", s)
		}
		_, of, err := d.store.Waiting("r0")
		if err != nil {
			t.Fatal(err)
		}
		if m := d.deliveries[0].dropped(of); m.Count != 2 || !strings.HasPrefix(m.Items[0].Text, "2 messages for r0 were dropped") || !strings.Contains(m.Items[0].Text, "more than 1000 waited, or more than 4 MiB of them") {
			t.Errorf("it is told %+v", m)
		}
		synctest.Wait()
		r.set("")
		time.Sleep(maxPause)
		synctest.Wait()
		if n := len(r.unique(t)); n != 6 {
			t.Errorf("%d came, want the five that had room and the one that tells of the others", n)
		}
		stop()
	})
}

// TestUnsavedDelivery: what was sent and could not be noted, as on a full disk, is not sent
// again by this process, however long that lasts; what comes after it waits.
func TestUnsavedDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, full := &fickle{}, &atomic.Bool{}
		d, stop := sendingBy(t, t.TempDir(), func(s Store) Store { return unsaved{s, full} }, r)
		synctest.Wait()
		full.Store(true)
		d.record(wrote("strava", "failed"), wrote("oura", "applied"))
		d.Look()
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := d.Stats()[0]; len(r.unique(t)) != 1 || s.Delivered != 1 || s.Waiting != 2 {
			t.Errorf("sent %d times, %+v", len(r.unique(t)), s)
		}
		full.Store(false)
		time.Sleep(maxPause)
		synctest.Wait()
		if s := d.Stats()[0]; len(r.unique(t)) != 2 || s.Delivered != 2 || s.Waiting != 0 {
			t.Errorf("got %v, %+v, want two, each once", r.unique(t), s)
		}
		stop()
	})
}

// TestHostileTextKeepsNobodyBack: what a receiver, or what guards it, refuses for its text
// waits behind the others, also where there is more of it than of them.
func TestHostileTextKeepsNobodyBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &fickle{wall: "UNION SELECT"}
		d, stop := sending(t, t.TempDir(), r)
		var lines []state.Entry
		for i := range 5 {
			one := wrote("strava", "failed")
			one.Environment, one.Connection, one.Error = fmt.Sprint("e", i), fmt.Sprint("e", i, "/strava"), "1' UNION SELECT 1"
			lines = append(lines, one)
		}
		d.record(append(lines, wrote("oura", "applied"))...)
		d.Look()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.unique(t)) != 1 {
			t.Errorf("a minute later %d came, want the one that says nothing bad", len(r.unique(t)))
		}
		d.record(wrote("whoop", "applied"))
		d.Look()
		time.Sleep(maxPause)
		synctest.Wait()
		if s := d.Stats()[0]; len(r.unique(t)) != 2 || s.Waiting != 5 {
			t.Errorf("%d came, %+v", len(r.unique(t)), s)
		}
		r.mu.Lock()
		r.wall = `"environment":"e0"`
		r.mu.Unlock()
		time.Sleep(2 * maxPause)
		synctest.Wait()
		if s := d.Stats()[0]; len(r.unique(t)) != 6 || s.Waiting != 1 {
			t.Errorf("where only the first one is refused still, %d came, %+v", len(r.taken), s)
		}
		r.mu.Lock()
		r.wall = ""
		r.mu.Unlock()
		time.Sleep(2 * maxPause)
		synctest.Wait()
		if s := d.Stats()[0]; len(r.unique(t)) != 7 || s.Waiting != 0 || s.Error != "" {
			t.Errorf("%d came, %+v", len(r.unique(t)), s)
		}
		stop()
	})
}

type unsaved struct {
	Store
	full *atomic.Bool
}

func (u unsaved) SaveReceiver(receiver string, r state.Receiver, told int, done ...int64) error {
	if u.full.Load() {
		return errors.New("disk full")
	}
	return u.Store.SaveReceiver(receiver, r, told, done...)
}
