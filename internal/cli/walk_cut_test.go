//go:build linux && amd64

package cli

import (
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// cutsSampled is how many deaths of all that there are CI tries, as in the kill
// walk.
const cutsSampled = 48

// cutScenes are the scenes of the kill walk that are gone through once more, a
// system call at a time: the first start, the writes that matter, and keys.
func cutScenes() []string {
	return []string{
		"enable", "enable and set credentials", "three at once", "prune", "the domain serves: webhooks",
		"its time has come", "the provider rejects it: back",
	}
}

// cut ends the real binary at the system calls by which it changes its state and
// its history: before each one, in the middle of each write, and by a power cut,
// which loses any part of what no sync has put on disk. It must come to the same
// end as after any other death, and never start afresh in silence.
func cut(t *testing.T, program string, scenes []*walked, some []string) {
	cmd := exec.CommandContext(t.Context(), program, "version")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := newTracer(t.TempDir(), death{}).run(cmd, cmd.Start); err != nil {
		cannotTrace(t, err.Error())
	}
	var all []attempt
	for _, s := range scenes {
		if !slices.Contains(some, s.name) {
			continue
		}
		calls, err := s.trace(t.TempDir())
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for n, call := range calls {
			all = append(all, attempt{s, death{beforeWrite, n + 1}})
			if call.writes {
				all = append(all, attempt{s, death{inWrite, n + 1}})
			}
			if call.unsynced {
				all = append(all, attempt{s, death{powerCut, n + 1}})
			}
		}
	}
	chosen, seed := walk.Sample(t, all, cutsSampled, func(a attempt) string { return a.scene.name + a.death.kind })
	t.Logf("COUNT cut_walk_seed=%d", seed)
	t.Logf("COUNT cut_walk_points=%d", len(all))
	t.Logf("COUNT cut_walk_scenes=%d", len(cutScenes()))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	total := 0
	for _, a := range chosen {
		group.Go(func() error {
			folder := t.TempDir()
			traces := newTracer(folder, a.death)
			traces.chance = rand.New(rand.NewPCG(uint64(seed), uint64(a.death.n)))
			died, err := a.scene.dies(folder, a.death, traces)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("death %s %d of %q: %v", a.death.kind, a.death.n, a.scene.name, err)
			}
			if died {
				total++
			}
			return nil
		})
	}
	_ = group.Wait()
	t.Logf("COUNT cut_walk_deaths=%d", total)
	if total < len(chosen)*9/10 {
		t.Errorf("only %d of %d deaths came about", total, len(chosen))
	}
}

// newTracer traces what a walker in that folder does to its state folder.
func newTracer(folder string, d death) *tracer {
	return &tracer{dir: filepath.Join(folder, "state"), death: d, disk: disk{spare: folder}}
}

// trace gives the system calls of the scene.
func (s *walked) trace(folder string) ([]traced, error) {
	w, err := s.before.clone(folder)
	if err != nil {
		return nil, err
	}
	walker := w.start(death{})
	walker.traces = newTracer(folder, death{})
	traces := walker.traces
	if _, _, err := walker.settle(s.before.repo(), s.exit); err != nil {
		return nil, err
	}
	return traces.calls, traces.disk.die(death{}, nil)
}
