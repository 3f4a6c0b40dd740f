package daemon

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const pollName = "git poll"

// grace is what a run or poll may take beyond its deadline before the daemon
// counts as stuck.
const grace = time.Minute

// health knows what is under way since when. A run that ends is progress, with
// any outcome; one that does not end within its deadline is not.
type health struct {
	deadline time.Duration
	mu       sync.Mutex
	due      map[string]time.Time // to have ended
	every    time.Duration        // between polls
}

func newHealth(deadline time.Duration) *health {
	return &health{deadline: deadline, due: map[string]time.Time{}}
}

func (h *health) start(name string, every time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name == pollName {
		h.every = every
	}
	h.due[name] = time.Now().Add(every + h.deadline + grace)
}

func (h *health) finished(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name == pollName {
		h.due[name] = time.Now().Add(h.every + h.deadline + grace)
		return
	}
	delete(h.due, name)
}

// stuck names what should have ended before now, sorted.
func (h *health) stuck(now time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for name, due := range h.due {
		if now.After(due) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// underWay names the environments that run, sorted.
func (h *health) underWay() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for name := range h.due {
		if name != pollName {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Handler answers GET /healthz: 200 while the daemon makes progress, with the
// names of the environments that are not on the newest commit, 503 with the names
// of what is stuck otherwise.
func (d *Daemon) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if stuck := d.health.stuck(time.Now()); len(stuck) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			printLine(w, "no progress: "+strings.Join(stuck, ", "))
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
		for _, e := range d.Status().Environments {
			if e.Behind != "" {
				printLine(w, e.Name+" is not on the newest commit; `reconcile status` says why")
			}
		}
	})
	return mux
}

// printLine prints a line that is safe on a terminal; names of environments are a
// committer's.
func printLine(w io.Writer, text string) {
	_, _ = fmt.Fprintln(w, strings.Join(report.Lines(text, 1<<20), " "))
}
