package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
)

// terraCommand serves and changes an emulated Terra account:
//
//	terra start                           with the environments of testdata/config
//	terra token [expired|few-scopes|reading|uncounted|wide|ending|DEV]   another token; DEV is all
//	                                      it may reach
//	terra fault KIND [OPERATION [NTH [TIMES]]]   TIMES "always" never wears off
//	terra problem STATUS CODE OPERATION   refuse one operation for good
//	terra heal                            no faults any more
//	terra enable|pause|disable DEV PROVIDER      as a person in the dashboard
//	terra credential DEV PROVIDER ID SECRET
//	terra users DEV PROVIDER COUNT
//	terra close DEV                       disable an environment
//	terra notice OPERATION TEXT           say so with each answer
//	terra legacy DEV                      its addresses are on Terra's older host
//	terra writes N                        so many writes came in since the last look
//	terra arrived OPERATION [N]           wait for a call, or N of them, since the last look
//	terra forget                          look, and want nothing
//	terra state DEV PROVIDER STATE        assert; STATE "none": never enabled
//
// Everything is served on loopback; TERRA_BASE_URL and TERRA_ADMIN_TOKEN say how
// to reach it.
func terraCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 5, "terra WHAT …")
	s := sceneOf(ts)
	what, args := args[0], args[1:]
	if what == "start" {
		s.startTerra(ts)
		return
	}
	if s.terra == nil {
		ts.Fatalf("terra start comes first")
	}
	commands := map[string]struct {
		least, most int
		do          func()
	}{
		"token":      {0, 1, func() { s.token(ts, args) }},
		"fault":      {1, 4, func() { s.fault(ts, args) }},
		"problem":    {3, 3, func() { s.problem(ts, args) }},
		"heal":       {0, 0, func() { s.terra.ClearFaults() }},
		"enable":     {2, 2, func() { s.terra.Enable(args[0], args[1]) }},
		"pause":      {2, 2, func() { s.terra.Pause(args[0], args[1]) }},
		"disable":    {2, 2, func() { s.terra.Disable(args[0], args[1]) }},
		"credential": {4, 4, func() { s.credential(args) }},
		"users":      {3, 3, func() { s.terra.SetUsers(args[0], args[1], number(ts, args[2]), 0) }},
		"notice":     {2, 2, func() { s.terra.AddNotice(args[0], args[1]) }},
		"withdraw":   {1, 1, func() { s.terra.WithdrawSourceType(args[0]) }},
		"legacy":     {1, 1, func() { s.terra.AddEnvironment(args[0], terratest.EnvironmentOptions{LegacyHost: true}) }},
		"close":      {1, 1, func() { s.terra.DisableEnvironment(args[0]) }},
		"writes":     {1, 1, func() { s.writes(ts, number(ts, args[0])) }},
		"forget":     {0, 0, func() { s.terra.ResetLog() }},
		"arrived":    {1, 2, func() { s.arrived(ts, args) }},
		"state":      {3, 3, func() { s.state(ts, args) }},
	}
	c, ok := commands[what]
	if !ok || len(args) < c.least || len(args) > c.most {
		ts.Fatalf("terra %s: unknown, or with a wrong number of words", what)
	}
	c.do()
}

func (s *scene) startTerra(ts *testscript.TestScript) {
	s.terra = terratest.New(terratest.Config{})
	s.terra.AddEnvironment("prod-x81LmQ", terratest.EnvironmentOptions{Name: "production"})
	s.terra.AddEnvironment("stag-Wq72Rt", terratest.EnvironmentOptions{Name: "staging"})
	ts.Setenv("TERRA_BASE_URL", s.terra.Start(s.t))
	s.token(ts, nil)
}

// token makes the token that commands use from now on.
func (s *scene) token(ts *testscript.TestScript, args []string) {
	private := "Jx7Rk2Vq9TnWb4Yd6LzQs8Hc3Mf5Pg" + strconv.Itoa(len(s.planted))
	t := terratest.Token{Bearer: "terra_at_" + private}
	switch kind := strings.Join(args, ""); kind {
	case "":
	case "expired":
		t.ExpiresAt = time.Now().Add(-time.Hour)
	case "few-scopes":
		t.Scopes = []string{"connections:read", "account:read"}
	case "reading":
		t.Scopes = []string{"providers:read", "connections:read"}
	case "uncounted":
		t.Scopes = []string{"providers:read", "providers:write"}
	case "wide":
		t.Scopes = append(terratest.DaemonScopes(), "tokens:admin", "payloads:read", "events:read")
	case "ending":
		t.ExpiresAt, t.GrantAnchorAt = time.Now().Add(10*24*time.Hour+time.Minute), time.Now().Add(-85*24*time.Hour)
	default:
		t.DevIDs = []string{kind}
	}
	s.planted = append(s.planted, private)
	s.terra.AddToken(t)
	ts.Setenv("TERRA_ADMIN_TOKEN", t.Bearer)
}

func (s *scene) fault(ts *testscript.TestScript, args []string) {
	f := terratest.Fault{Kind: terratest.Kind(args[0]), Delay: 1500 * time.Millisecond}
	for i, arg := range args[1:] {
		switch i {
		case 0:
			f.Operation = strings.TrimSuffix(arg, "any")
		case 1:
			f.Nth = number(ts, arg)
		case 2:
			if f.Times = terratest.Always; arg != "always" {
				f.Times = number(ts, arg)
			}
		}
	}
	s.terra.Fault(f)
}

// arrived waits until a call of an operation has come in, or as many as it is given.
func (s *scene) arrived(ts *testscript.TestScript, args []string) {
	operation, want := args[0], 1
	if len(args) > 1 {
		want = number(ts, args[1])
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		came := 0
		for _, c := range s.terra.Log() {
			if c.Operation == operation {
				came++
			}
		}
		if came >= want {
			return
		}
		select {
		case <-tick.C:
		case <-late.C:
			ts.Fatalf("no call of %s within %s", operation, patience)
		}
	}
}

func (s *scene) problem(ts *testscript.TestScript, args []string) {
	s.terra.Fault(terratest.Fault{
		Kind: terratest.Problem, Status: number(ts, args[0]), Code: args[1], Operation: args[2],
		Detail: "Refused by the script.", Times: terratest.Always,
	})
}

func (s *scene) credential(args []string) {
	s.planted = append(s.planted, args[3])
	s.terra.SetCredential(args[0], args[1], terratest.Credential{ClientID: args[2], Secret: args[3]})
}

func (s *scene) writes(ts *testscript.TestScript, want int) {
	got := s.terra.Writes()
	s.terra.ResetLog()
	if len(got) != want {
		for _, c := range got {
			ts.Logf("%s %s: %d %s", c.Method, c.Path, c.Status, c.Code)
		}
		ts.Fatalf("got %d writes, want %d", len(got), want)
	}
}

func (s *scene) state(ts *testscript.TestScript, args []string) {
	got := "none"
	if source, ok := s.terra.Live(args[0]).Sources[args[1]]; ok {
		got = source.State
	}
	if got != args[2] {
		ts.Fatalf("%s of %s is %s, want %s", args[1], args[0], got, args[2])
	}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}
