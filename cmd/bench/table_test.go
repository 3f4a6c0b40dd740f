package main

import (
	"errors"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		f      figure
		word   string
		missed bool
	}{
		"aim met":              {figure{measured: 1, ideal: 2}, "ok", false},
		"aim not met":          {figure{measured: 3, ideal: 2}, "over the aim", false},
		"within the limit":     {figure{measured: 5, ideal: 2, limit: 3}, "ok", false},
		"at the limit":         {figure{measured: 6, ideal: 2, limit: 3}, "ok", false},
		"over the limit":       {figure{measured: 7, ideal: 2, limit: 3}, "MISSED", true},
		"cheaper by enough":    {figure{measured: 11, ideal: 2, limit: 5, atLeast: true}, "ok", false},
		"cheaper by just that": {figure{measured: 10, ideal: 2, limit: 5, atLeast: true}, "ok", false},
		"not cheaper enough":   {figure{measured: 9, ideal: 2, limit: 5, atLeast: true}, "MISSED", true},
		"nothing was measured": {figure{measured: 0, ideal: 0, limit: 3}, "MISSED", true},
		"nothing to aim with":  {figure{measured: 0, ideal: 0}, "over the aim", false},
	} {
		if word, missed := c.f.verdict(); word != c.word || missed != c.missed {
			t.Errorf("%s: got %q, %v, want %q, %v", name, word, missed, c.word, c.missed)
		}
	}
}

func TestAMissedLimitIsAnErrorAndTheTableIsWhole(t *testing.T) {
	var out strings.Builder
	err := printTable(&out, []figure{
		{name: "slow", measured: 4, ideal: 1, unit: "ms", limit: 3},
		{name: "small", measured: 1, ideal: 2, unit: "MiB"},
	})
	want := `name   measured  ideal    ratio  limit  ok
slow   4.0 ms    1.0 ms   4.00   <= 3x  MISSED
small  1.0 MiB   2.0 MiB  0.50   aim    ok
`
	if !errors.Is(err, errMissed) || out.String() != want {
		t.Errorf("got %v and\n%swant errMissed and\n%s", err, out.String(), want)
	}
}
