package daemon

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// clock fires by a cron expression. Without one it never does.
type clock struct {
	schedule cron.Schedule
	timer    *time.Timer
	at       time.Time // when it fires next; zero: never
}

func newClock() *clock {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &clock{timer: t}
}

// set takes a new expression; "" never fires. The expression was checked with
// the repository, so an error here keeps the environment on new commits only.
func (c *clock) set(expression string) (err error) {
	c.schedule, c.at = nil, time.Time{}
	c.timer.Stop()
	if expression == "" {
		return nil
	}
	defer func() {
		if p := recover(); p != nil { // the parser panics on some zones
			c.schedule, err = nil, fmt.Errorf("parse schedule %q", expression)
		}
	}()
	if c.schedule, err = cron.ParseStandard(expression); err != nil {
		c.schedule = nil
		return fmt.Errorf("parse schedule %q: %w", expression, err)
	}
	c.next()
	return nil
}

// next arms the clock for the next moment after now.
func (c *clock) next() {
	if c.schedule == nil {
		return
	}
	now := time.Now()
	if c.at = c.schedule.Next(now); !c.at.IsZero() {
		c.timer.Reset(c.at.Sub(now))
	}
}

func (c *clock) fires() <-chan time.Time { return c.timer.C }

func (c *clock) stop() { c.timer.Stop() }
