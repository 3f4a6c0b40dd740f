package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// daemonDeadline is how long a daemon on this machine may take to answer.
const daemonDeadline = 3 * time.Second

// askDaemon asks who holds the state, and where daemon.yaml says so the page of
// its health too.
func (d *doctor) askDaemon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, daemonDeadline)
	defer cancel()
	if d.config.StateDir == "" {
		d.skip("daemon", "", "not asked: no state folder is known", "")
		return
	}
	status, err := daemon.NewClient(d.config.StateDir).Status(ctx)
	var absent *daemon.AbsentError
	var refused *daemon.RefusedError
	switch {
	case errors.As(err, &absent) && d.flags.config == "":
		d.skip("daemon", "", "none answers at "+absent.Path, "")
	case errors.As(err, &absent):
		d.warn("daemon", "", "none answers at "+absent.Path, "start it: `reconcile daemon`")
	case errors.As(err, &refused):
		d.warn("daemon", "", "a run is under way: "+refused.Reason, "look again when it has ended")
	case err != nil:
		d.warn("daemon", "", err.Error(), "ask as the user that it runs as, with sudo -u USER")
	default:
		d.daemon = true
		d.describeDaemon(status)
	}
	if d.flags.config != "" && !errors.As(err, &absent) {
		d.askHealth(ctx)
	}
}

func (d *doctor) describeDaemon(s daemon.Status) {
	does := "applies what is ready"
	if s.Mode != report.Apply {
		does = "only looks (apply: false)"
	}
	if len(s.Stuck) > 0 {
		d.fail("daemon", "", "it makes no progress: "+strings.Join(s.Stuck, ", ")+" should have ended", "look into its log, and start it again")
	}
	if s.Poll.Error != "" {
		d.fail("daemon", "", "it could not read the repository: "+s.Poll.Error, "")
	} else {
		d.ok("daemon", "", fmt.Sprintf("version %s runs since %s and %s", s.Version, minute(s.StartedAt), does))
	}
	d.pauses(s.Paused)
	for _, e := range s.Environments {
		if e.Behind != "" {
			d.warn("daemon", e.Name, "it stays on an older commit: "+e.Behind, "")
		}
		if e.LastRun != nil && e.LastRun.Error != "" {
			d.warn("daemon", e.Name, "the last run failed: "+e.LastRun.Error, "")
		}
	}
}

// pauses tells of each kill switch that is on, whoever knows of it.
func (d *doctor) pauses(on []daemon.Pause) {
	for _, p := range on {
		d.warn("pause", targetWords(p.Target), fmt.Sprintf("paused until %s by %s: %s", minute(p.Until), p.Owner, p.Reason), "lift it with "+resumeWords(p.Target))
	}
}

// askHealth asks for the page that tells whether the daemon makes progress.
func (d *doctor) askHealth(ctx context.Context) {
	address := healthAddress(d.config.Listen)
	if strings.HasSuffix(address, ":0") {
		d.skip("health", "", "not asked: listen is "+d.config.Listen+", which can be any port", "")
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", http.NoBody)
	if err != nil {
		d.fail("health", "", "listen is "+d.config.Listen+", which cannot be asked", "correct it in "+d.flags.config)
		return
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		d.warn("health", "", "nothing answers on "+address, "is it the daemon's own "+d.flags.config+"?")
		return
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // the code says enough without it
		d.fail("health", "", fmt.Sprintf("it answers on %s with %d: %s", address, response.StatusCode, strings.TrimSpace(string(text))), "look into its log")
		return
	}
	d.ok("health", "", "it makes progress, as it says on "+address)
}

// healthAddress is where this machine reaches a server that listens there.
func healthAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}
