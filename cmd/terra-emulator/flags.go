package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// parseRate reads CALLS/TIME; empty is no limit.
func parseRate(text string) (emulator.Rate, error) {
	if text == "" {
		return emulator.Rate{}, nil
	}
	calls, per, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(calls)
	d, bad := time.ParseDuration(per)
	if err != nil || bad != nil || n < 1 || d <= 0 {
		return emulator.Rate{}, usage{fmt.Errorf("--rate %q: want CALLS/TIME, such as 300/1m", text)}
	}
	return emulator.Rate{Calls: n, Per: d}, nil
}

// parseFault reads KIND[:OPERATION[:NTH|always]].
func parseFault(text string) (emulator.Fault, error) {
	wrong := func(format string, args ...any) (emulator.Fault, error) {
		return emulator.Fault{}, usage{fmt.Errorf("--fault %q: "+format, append([]any{text}, args...)...)}
	}
	parts := strings.Split(text, ":")
	f := emulator.Fault{Kind: emulator.Kind(parts[0]), Delay: 2 * time.Second, RetryAfter: time.Second}
	if !slices.Contains(emulator.Kinds(), f.Kind) {
		var kinds []string
		for _, k := range emulator.Kinds() {
			kinds = append(kinds, string(k))
		}
		return wrong("unknown kind, want one of %s", strings.Join(kinds, ", "))
	}
	if len(parts) > 1 && parts[1] != "*" {
		f.Operation = parts[1]
		if !slices.Contains(emulator.Operations(), f.Operation) {
			return wrong("unknown operation, want * or one of %s", strings.Join(emulator.Operations(), ", "))
		}
	}
	switch {
	case len(parts) > 3:
		return wrong("want KIND[:OPERATION[:NTH|always]]")
	case len(parts) < 3:
	case parts[2] == "always":
		f.Times = emulator.Always
	default:
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return wrong("want a number from 1 or always after the operation")
		}
		f.Nth = n
	}
	return f, nil
}

// parseReadings turns the switches that are named.
func parseReadings(names []string) (emulator.Reading, error) {
	var reading emulator.Reading
	all := emulator.Switches()
	for _, name := range names {
		at := slices.IndexFunc(all, func(s emulator.Switch) bool { return s.Name == name })
		if at < 0 {
			var known []string
			for _, s := range all {
				known = append(known, s.Name)
			}
			return reading, usage{fmt.Errorf("--reading %q: want one of %s", name, strings.Join(known, ", "))}
		}
		all[at].Set(&reading)
	}
	return reading, nil
}

// declare sets up the providers behind Terra what the flags say of them. A provider
// that the state file knows keeps its pairs: a restart revives no dead secret.
func declare(s *emulator.Server, o options) error {
	known := s.Declared()
	for _, text := range o.pairs {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) < 3 || parts[1] == "" || parts[2] == "" {
			return usage{errors.New("--pair: want PROVIDER:CLIENT_ID:SECRET, such as strava:123456:first-secret")}
		}
		if !slices.Contains(emulator.Catalogue(), parts[0]) {
			return usage{fmt.Errorf("--pair: unknown provider %q", parts[0])}
		}
		if !slices.Contains(known, parts[0]) {
			s.AcceptPair(parts[0], parts[1], parts[2])
		}
	}
	for _, text := range o.lifetimes {
		provider, lifetime, _ := strings.Cut(text, "=")
		d, err := time.ParseDuration(lifetime)
		if err != nil || d <= 0 || !slices.Contains(emulator.Catalogue(), provider) {
			return usage{fmt.Errorf("--token-lifetime %q: want PROVIDER=TIME, such as strava=1m", text)}
		}
		s.SetTokenLifetime(provider, d)
	}
	return nil
}

// checkListen refuses an address that other machines can reach.
func checkListen(ctx context.Context, address string, allowRemote bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usage{fmt.Errorf("--listen %q: want HOST:PORT, such as 127.0.0.1:8080", address)}
	}
	if allowRemote {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil && host != "" {
		return fmt.Errorf("look up %s: %w", host, err)
	}
	remote := func(a net.IPAddr) bool { return !a.IP.IsLoopback() }
	if len(addresses) == 0 || slices.ContainsFunc(addresses, remote) {
		return usage{fmt.Errorf("--listen %q: other machines could reach it, in plain HTTP and with its tokens: "+
			"use 127.0.0.1, or add --allow-remote", address)}
	}
	return nil
}

// checkToken wants a token that clients would send.
func checkToken(token string) error {
	rest, ok := strings.CutPrefix(token, "terra_at_")
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`'"\$`+"`", r) }
	if !ok || rest == "" || strings.ContainsFunc(rest, odd) {
		return usage{fmt.Errorf("--token: want terra_at_ and printable characters without quotes after it")}
	}
	return nil
}
