package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kustomize builds a folder.
func kustomize(folder string) (string, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return "", err
	}
	text, err := built.AsYaml()
	return string(text), err
}

// values that people may give to the chart, and what has to come of them.
type rendering struct {
	name, values string
	release      string // "" for that of the base
	change       func(*expected)
}

const pageOn = `
page: {enabled: true}
serviceMonitor: {enabled: true}
networkPolicy:
  from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}
      podSelector: {matchLabels: {app.kubernetes.io/name: prometheus}}
`

func renderings() []rendering {
	return []rendering{
		{name: "as it is"},
		{name: "monitored", values: pageOn, change: func(e *expected) { *e = usual(true) }},
		{name: "monitored under another name", release: "eu", values: pageOn, change: func(e *expected) { *e = usual(true) }},
		{name: "approving on the page, unwatched", values: "page: {enabled: true, approve: true, tlsSecretName: cert}", change: func(e *expected) { e.page = true }},
		{name: "git over ssh, other accounts", values: `
config:
  repo:
    url: ssh://git@git.example/acme/terra-config
    auth: {token_file: null, ssh_key_file: /run/secrets/terra-reconcile/key, known_hosts_file: /run/secrets/terra-reconcile/known_hosts}
  accounts: {default: null, acme: {token_env: TERRA_TOKEN, dev_ids: [acme-x81LmQ]}}
env: [{name: TERRA_TOKEN, valueFrom: {secretKeyRef: {name: terra, key: token}}}]`},
		{name: "a claim that is there, an image by digest", values: `
image: {tag: v2.1.0-rc.1, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", pullSecrets: [registry]}
state: {existingClaim: state}`, change: func(e *expected) { e.ownClaim = true }},
		{name: "through a proxy", values: `
env: [{name: HTTPS_PROXY, value: "http://proxy.example:3128"}]
networkPolicy: {egress: [{ports: [{protocol: TCP, port: 3128}]}]}`,
			change: func(e *expected) { e.egress = []string{"TCP 22", "TCP 3128", "TCP 443", "TCP 53", "UDP 53"} }},
		{name: "a webhook of the forge", values: `
config: {repo: {hook: {forge: github, secret_file: /run/secrets/terra-reconcile/hook}}}
networkPolicy: {from: [{ipBlock: {cidr: 192.0.2.0/24}}]}`, change: func(e *expected) { e.from = true }},
		{name: "no policy, and where to run", values: `
networkPolicy: {enabled: false}
nodeSelector: {disk: ssd}
tolerations: [{key: a, operator: Exists}]
affinity: {nodeAffinity: {}}
podAnnotations: {a: b}
state: {size: 10Gi, storageClassName: fast}`, change: func(e *expected) { e.policy = false }},
	}
}

// judgeChart renders the chart with each of the values, and holds two of them to the base and
// the overlay.
func judgeChart(folder string, base, monitored set) (int, error) {
	c, err := loader.Load(folder)
	if err != nil {
		return 0, err
	}
	for _, r := range renderings() {
		got, notes, err := r.render(folder, c)
		want := usual(false)
		if r.change != nil {
			r.change(&want)
		}
		if err == nil {
			err = got.judge(want)
		}
		switch {
		case err != nil:
		case r.values == "":
			err = same("kustomize base", base, "the chart", got)
		case r.release == "" && r.values == pageOn:
			err = same("kustomize monitored", monitored, "the chart", got)
		case r.release != "":
			err = got.named(r.release)
		}
		if err == nil && !strings.Contains(notes, "deploy/"+r.releaseName()) {
			err = errors.New("the notes name another Deployment")
		}
		if err != nil {
			return 0, fmt.Errorf("chart %s: %w", r.name, err)
		}
		fmt.Printf("chart %s: %d objects\n", r.name, len(got.texts))
	}
	return len(renderings()), nil
}

func (r rendering) releaseName() string {
	if r.release != "" {
		return r.release
	}
	return "terra-reconcile"
}

// render lints the chart and gives its objects, read by their types, and its notes.
func (r rendering) render(folder string, c *chart.Chart) (set, string, error) {
	const namespace = "terra-reconcile"
	given, err := chartutil.ReadValues([]byte(r.values))
	if err != nil {
		return set{}, "", err
	}
	var found []error
	for _, m := range lint.All(folder, given, namespace, true).Messages {
		if m.Severity > support.InfoSev {
			found = append(found, m)
		}
	}
	if len(found) > 0 {
		return set{}, "", errors.Join(found...)
	}
	given, err = chartutil.ReadValues([]byte(r.values)) // lint has changed them
	if err != nil {
		return set{}, "", err
	}
	release := chartutil.ReleaseOptions{Name: r.releaseName(), Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(c, given, release, chartutil.DefaultCapabilities)
	if err != nil {
		return set{}, "", err
	}
	files, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		return set{}, "", err
	}
	var objects bytes.Buffer
	notes := ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Base(name) == "NOTES.txt" {
			notes = files[name]
			continue
		}
		objects.WriteString(strings.TrimRight(files[name], "\n") + "\n---\n")
	}
	got, err := decode(objects.String())
	return got, notes, err
}

// named tells whether everything has the name of its release, so that two stand side by side.
func (s set) named(release string) error {
	for _, text := range s.texts {
		var object struct{ Metadata struct{ Name string } }
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			return err
		}
		if object.Metadata.Name != release {
			return fmt.Errorf("%s is not named after the release %s", object.Metadata.Name, release)
		}
	}
	return nil
}

// badValues are what the chart refuses, by a word of the refusal.
func badValues() map[string]string {
	return map[string]string{
		"replicas: 2":                          "replicas",
		"image: {tag: latest}":                 "/image/tag",
		"image: {repository: \"a b\"}":         "/image/repository",
		"image: {digest: \"sha256:12\"}":       "/image/digest",
		"config: {state_dir: /data}":           "/config/state_dir",
		"config: {listen: \"127.0.0.1:8080\"}": "/config/listen",
		"config: {tls: {cert_file: a}}":        "/config/tls",
		"config: {apply: null}":                "apply",
		"config: {apply: \"no\"}":              "/config/apply",
		"secretName: Upper":                    "/secretName",
		"page: {enabled: \"yes\"}":             "/page/enabled",
		"page: {enable: true}":                 "enable",
		"serviceMonitor: {enabled: true}":      "needs page.enabled",
		"networkPolicy: {from: [{}]}":          "/networkPolicy/from",
		"networkPolicy: {egress: [{}]}":        "/networkPolicy/egress",
		"state: {size: lots}":                  "/state/size",
		"podAnnotations: {a: 1}":               "/podAnnotations/a",
	}
}

// refuseValues counts the values that the chart refuses.
func refuseValues(folder string) (int, error) {
	c, err := loader.Load(folder)
	if err != nil {
		return 0, err
	}
	var found []error
	for values, says := range badValues() {
		_, _, err := rendering{values: values}.render(folder, c)
		if err == nil || !strings.Contains(err.Error(), says) {
			found = append(found, fmt.Errorf("chart with %s: is not refused with %q, but with: %w", values, says, err))
		}
	}
	return len(badValues()), errors.Join(found...)
}

// judgeCompose reads the file as Docker Compose does, and a copy with a slip.
func judgeCompose(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := readCompose(file); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "compose")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	broken := filepath.Join(folder, "compose.yaml")
	if err := os.WriteFile(broken, bytes.ReplaceAll(text, []byte("read_only: true"), []byte("readonly: true")), 0o600); err != nil {
		return err
	}
	if readCompose(broken) == nil {
		return errors.New("compose.yaml with readonly is not refused")
	}
	return nil
}

func readCompose(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithName("terra-reconcile"))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	if s := project.Services["reconcile"]; s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < (stopsIn+5)*time.Second {
		return errors.New("compose: stop_grace_period does not fit the ten seconds that a stop takes")
	}
	fmt.Println("compose:", len(project.Services), "service")
	return nil
}
