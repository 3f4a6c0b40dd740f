package spec_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// BenchmarkLoad reads 10,000 connections in 100 environments.
func BenchmarkLoad(b *testing.B) {
	fsys := fstest.MapFS{"terra.yaml": text("version: 1\nsecrets: {binding: require}\ndefaults: {rotation: {max_age: 90d}, policy: {protect: [whoop]}}\n")}
	for e := range 100 {
		dir := fmt.Sprintf("e%02d/", e)
		fsys[dir+"environment.yaml"] = text(fmt.Sprintf("dev_id: dev-%d\nprune: never\n", e))
		for c := range 100 {
			fsys[fmt.Sprintf("%sc%02d.yaml", dir, c)] = text(fmt.Sprintf("provider: p%d\ncredentials:\n  client_id: \"%d\"\n  client_secret: %s", c, c, sealed(4)))
		}
	}
	for b.Loop() {
		set, _ := spec.Load(fsys, vocabulary())
		if len(set.Environments) != 100 || len(set.Environments[99].Connections) != 100 {
			b.Fatal("connections are missing")
		}
	}
	b.ReportMetric(10_000, "connections/op")
}
