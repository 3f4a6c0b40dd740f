// Command manifests judges what people give to a cluster, the files of examples/kubernetes, and
// examples/container/compose.yaml: by the types and programs of the projects that read them,
// and by what the daemon needs and must not have. The plain file, kustomize and the Helm chart
// have to say the same. Then it breaks copies, each of which has to be refused for the right
// reason: a check that refuses nothing is none.
//
//	go run -C .ci/manifests . ../..
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run takes the root of the repository.
func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: manifests ROOT")
	}
	examples := filepath.Join(args[0], "examples")
	cluster := filepath.Join(examples, "kubernetes")
	base, monitored, err := plainAndOverlay(cluster)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(cluster, "volume.yaml"))
	if err == nil {
		err = judgeVolume(string(text), base)
	}
	if err != nil {
		return fmt.Errorf("volume.yaml: %w", err)
	}
	charts, err := judgeChart(filepath.Join(cluster, "chart"), base, monitored)
	if err != nil {
		return err
	}
	broken, err := breakEach(monitored)
	if err != nil {
		return err
	}
	refused, err := refuseValues(filepath.Join(cluster, "chart"))
	if err != nil {
		return err
	}
	if err := judgeCompose(filepath.Join(examples, "container/compose.yaml")); err != nil {
		return err
	}
	fmt.Printf("COUNT manifest_objects=%d\nCOUNT chart_renderings=%d\nCOUNT broken_manifests=%d\n",
		len(base.texts)+len(monitored.texts), charts, broken+refused)
	return nil
}

// plainAndOverlay judges the plain file, the base that kustomize makes of it, and the overlay.
func plainAndOverlay(cluster string) (base, monitored set, err error) {
	text, err := os.ReadFile(filepath.Join(cluster, "base/terra-reconcile.yaml"))
	if err != nil {
		return base, monitored, err
	}
	plain, err := decode(string(text))
	if err != nil {
		return base, monitored, fmt.Errorf("plain file: %w", err)
	}
	if base, err = kustomized(cluster, "base"); err != nil {
		return base, monitored, err
	}
	if monitored, err = kustomized(cluster, "monitored"); err != nil {
		return base, monitored, err
	}
	return base, monitored, same("the plain file", plain, "kustomize base", base)
}

func kustomized(cluster, folder string) (set, error) {
	text, err := kustomize(filepath.Join(cluster, folder))
	var built set
	if err == nil {
		built, err = decode(text)
	}
	if err == nil {
		err = built.judge(usual(folder == "monitored"))
	}
	if err != nil {
		return built, fmt.Errorf("kustomize %s: %w", folder, err)
	}
	fmt.Printf("kustomize %s: %d objects\n", folder, len(built.texts))
	return built, nil
}

// slip is what somebody gets wrong in what kustomize makes of the overlay.
type slip struct{ right, wrong, says string }

// breakEach counts the copies that are refused.
func breakEach(good set) (int, error) {
	whole := strings.Join(good.texts, "---\n")
	var found []error
	for _, s := range slips() {
		if !strings.Contains(whole, s.right) {
			found = append(found, fmt.Errorf("nothing has %q any more", s.right))
			continue
		}
		broken, err := decode(strings.ReplaceAll(whole, s.right, s.wrong))
		if err == nil {
			err = broken.judge(usual(true))
		}
		if err == nil || !strings.Contains(err.Error(), s.says) {
			found = append(found, fmt.Errorf("%q in the place of %q is not refused with %q, but with: %w", s.wrong, s.right, s.says, err))
		}
	}
	for kind := range good.kinds {
		var rest []string
		for _, text := range good.texts {
			if !strings.Contains(text, "\nkind: "+kind+"\n") {
				rest = append(rest, text)
			}
		}
		less, err := decode(strings.Join(rest, "---\n"))
		if err == nil && less.judge(usual(true)) == nil {
			found = append(found, fmt.Errorf("without %s it is not refused", kind))
		}
	}
	return len(slips()) + len(good.kinds), errors.Join(found...)
}

// same says in what two sets differ.
func same(nameA string, a set, nameB string, b set) error {
	treeA, err := a.comparable()
	if err != nil {
		return err
	}
	treeB, err := b.comparable()
	if err != nil {
		return err
	}
	var lines []string
	for _, text := range treeA {
		if !slices.Contains(treeB, text) {
			lines = append(lines, "- "+text)
		}
	}
	for _, text := range treeB {
		if !slices.Contains(treeA, text) {
			lines = append(lines, "+ "+text)
		}
	}
	if len(treeA) != len(treeB) && len(lines) == 0 {
		lines = append(lines, "! one of them says something twice")
	}
	if len(lines) > 0 {
		slices.SortStableFunc(lines, func(x, y string) int { return strings.Compare(x[2:], y[2:]) })
		return fmt.Errorf("%s (-) and %s (+) differ:\n%s", nameA, nameB, strings.Join(lines, "\n"))
	}
	return nil
}
