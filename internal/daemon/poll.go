package daemon

import (
	"context"
	"regexp"
	"time"
)

// poll looks at the repository and follows what it says.
func (d *Daemon) poll(ctx context.Context) {
	pollCtx, cancel := context.WithTimeout(ctx, d.o.Deadline)
	defer cancel()
	environments, err := d.ask(pollCtx)
	d.health.finished(pollName)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notePoll(err)
	if ctx.Err() == nil {
		d.tellPoll(err)
	}
	if err != nil && environments == nil {
		return
	}
	named := map[string]bool{}
	for _, e := range environments {
		named[e.Name] = true
		d.update(ctx, e)
	}
	for name, w := range d.workers {
		if !named[name] {
			d.o.Log.Warn("environment is gone from the repository; nothing of it is changed any more", "environment", name)
			d.leave(name, w)
		}
	}
}

// sayAgain is how often a trouble that lasts is told.
const sayAgain = time.Hour

// trouble is why polls fail, as it was told.
type trouble struct {
	text  string // "": they do not
	since time.Time
	told  time.Time
}

// port is what differs each time about a connection that could not be made.
var port = regexp.MustCompile(`:\d+->`)

// tellPoll says that polls fail when that begins or changes and once an hour, and
// when it ends.
func (d *Daemon) tellPoll(err error) {
	now := time.Now()
	was := d.trouble
	if err == nil {
		if d.trouble = (trouble{}); was.text != "" {
			d.o.Log.Info("the repository can be used again", "failed_since", was.since.UTC())
		}
		return
	}
	text := port.ReplaceAllString(err.Error(), "->")
	if text == was.text && now.Sub(was.told) < sayAgain {
		return
	}
	d.trouble = trouble{text: text, since: was.since, told: now}
	if was.text == "" {
		d.trouble.since = now
	}
	d.o.Log.Error("poll failed; the environments stay on what they had", "error", err.Error(), "since", d.trouble.since.UTC())
}
