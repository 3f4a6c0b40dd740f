package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	benchIdle    = time.Minute // one poll, and nothing to do
	benchScrapes = 200
)

// BenchmarkIdleDaemon starts the real daemon on 1,000 connections in ten environments of a
// Terra that agrees. It measures how soon after the first fetch it is ready, what a scrape of
// its metrics takes, and what it uses in a minute in which nothing happens: memory, and
// processor time with that of the git that it runs.
func BenchmarkIdleDaemon(b *testing.B) {
	const environments = 10
	dir := b.TempDir()
	program := benchProgram(b, dir)
	identity, _ := benchRepository(b, dir, environments)
	base := benchTerra(b, environments)
	file := filepath.Join(dir, "daemon.yaml")
	benchWrite(b, file, "repo: {url: "+filepath.Join(dir, "config")+"}\naccounts:\n  default: {token_env: TERRA_ADMIN_TOKEN, base_url: \""+base+
		"\", dev_ids: [\"*\"]}\napply: true\nlisten: 127.0.0.1:0\n")
	var ready, scrape time.Duration
	var rss, own, cpu float64
	series := 0
	for b.Loop() {
		d := benchDaemon(b, dir, program, identity, file)
		ready = d.ready(b).Sub(d.fetched)
		for range environments { // nobody asks for anything until it is idle
			<-d.ran
		}
		rss, own, cpu = d.idle(b)
		scrape, series = d.scrapes(b)
		d.stop(b)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(benchMilliseconds(ready), "ready-ms")
	b.ReportMetric(benchMilliseconds(scrape), "scrape-ms")
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(rss, "MiB")
	b.ReportMetric(own, "own-MiB")
	b.ReportMetric(100*cpu, "%-of-a-core")
	for what, missed := range map[string]bool{
		fmt.Sprintf("it is ready after %v, want 1s", ready):                  ready > time.Second,
		fmt.Sprintf("a scrape takes %v, want 5ms", scrape):                   scrape > 5*time.Millisecond,
		fmt.Sprintf("it holds %.1f MiB, want 40", rss):                       rss > 40,
		fmt.Sprintf("%.1f MiB of it are its own, want 24", own):              own > 24,
		fmt.Sprintf("it uses %.3f %% of a core, want 0.05", 100*cpu):         cpu > 0.0005,
		fmt.Sprintf("%d series, which are not those of connections", series): series < environments*benchPerEnv,
	} {
		if missed {
			b.Error(what)
		}
	}
}

// idling is a daemon under way.
type idling struct {
	cmd     *exec.Cmd
	address string
	fetched time.Time     // when it had the first commit
	ran     chan struct{} // one for each run
}

func benchDaemon(b *testing.B, dir, program, identity, file string) *idling {
	b.Helper()
	c := exec.Command(program, "daemon", "--config", file)
	c.Env = []string{"TERRA_ADMIN_TOKEN=" + benchToken, "RECONCILE_AGE_KEY_FILE=" + identity, "RECONCILE_STATE_DIR=" + filepath.Join(dir, "idle"), "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	log, err := c.StderrPipe()
	if err = errors.Join(err, c.Start()); err != nil {
		b.Fatal(err)
	}
	d := &idling{cmd: c, ran: make(chan struct{}, 1000)}
	first := make(chan struct{})
	go d.listen(log, first)
	<-first
	if d.address == "" || d.fetched.IsZero() {
		b.Fatal("it serves nothing, or read no commit")
	}
	return d
}

// listen reads its log to the end, and closes first once it has read a commit.
func (d *idling) listen(log io.Reader, first chan<- struct{}) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct {
			Msg, Address string
			Time         time.Time
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch line.Msg {
		case "serving":
			d.address = line.Address
		case "new commit":
			d.fetched = line.Time
			close(first)
		case "run":
			d.ran <- struct{}{}
		}
	}
}

func (d *idling) get(b *testing.B, path string) (code int, body string) {
	b.Helper()
	answer, err := (&http.Client{Timeout: time.Minute}).Get("http://" + d.address + path)
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		b.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func (d *idling) ready(b *testing.B) time.Time {
	b.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for range again.C {
		if code, _ := d.get(b, "/readyz"); code == http.StatusOK {
			break
		}
	}
	return time.Now()
}

// scrapes gives the best of many.
func (d *idling) scrapes(b *testing.B) (best time.Duration, series int) {
	b.Helper()
	var took []time.Duration
	for range benchScrapes {
		began := time.Now()
		_, page := d.get(b, "/metrics")
		took = append(took, time.Since(began))
		series = 0
		for line := range strings.Lines(page) {
			if !strings.HasPrefix(line, "#") {
				series++
			}
		}
	}
	slices.Sort(took)
	return took[0], series
}

// idle gives the memory after a while, how much of it is its own and no page of the program
// file, and how much of a core it used meanwhile.
func (d *idling) idle(b *testing.B) (rss, own, cpu float64) {
	b.Helper()
	d.settle(b)
	before := d.used(b)
	timer := time.NewTimer(benchIdle)
	<-timer.C
	cpu = (d.used(b) - before).Seconds() / benchIdle.Seconds()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	mebibytes := func(field string) float64 {
		_, rest, _ := strings.Cut(string(status), field+":")
		kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		if err != nil {
			b.Fatal(err)
		}
		return kib / 1024
	}
	return mebibytes("VmRSS"), mebibytes("RssAnon"), cpu
}

// settle waits until it does nothing any more.
func (d *idling) settle(b *testing.B) {
	b.Helper()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for last := d.used(b); ; <-again.C {
		now := d.used(b)
		if now > 0 && now-last < time.Millisecond && now != last {
			return
		}
		last = now
	}
}

// used is the processor time of its threads, to the nanosecond, and of what it has run.
func (d *idling) used(b *testing.B) (total time.Duration) {
	b.Helper()
	proc := fmt.Sprintf("/proc/%d/", d.cmd.Process.Pid)
	threads, err := filepath.Glob(proc + "task/*/schedstat")
	if err != nil || len(threads) == 0 {
		b.Fatal("the system does not say what a thread has used")
	}
	for _, name := range threads {
		text, _ := os.ReadFile(name) // one that has ended meanwhile
		ns, _ := strconv.ParseInt(strings.SplitN(string(text), " ", 2)[0], 10, 64)
		total += time.Duration(ns)
	}
	stat, err := os.ReadFile(proc + "stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	for _, field := range fields[13:15] { // cutime, cstime, in hundredths
		ticks, _ := strconv.ParseInt(field, 10, 64)
		total += time.Duration(ticks) * 10 * time.Millisecond
	}
	return total
}

func (d *idling) stop(b *testing.B) {
	b.Helper()
	if err := errors.Join(d.cmd.Process.Signal(os.Interrupt), d.cmd.Wait()); err != nil {
		b.Error(err)
	}
}
