package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
)

const (
	imageUser  = "65532"
	imageState = "/state"
)

// instructions gives what stands behind an instruction of the image's last stage.
func instructions(t *testing.T) func(name string) []string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`(?m)^\s*#.*\n|\\\n\s*`).ReplaceAllString(string(text), "")
	stages := regexp.MustCompile(`(?m)^FROM `).Split(joined, -1)
	return func(name string) (out []string) {
		for _, line := range strings.Split("FROM "+stages[len(stages)-1], "\n") {
			if rest, ok := strings.CutPrefix(line, name+" "); ok {
				out = append(out, rest)
			}
		}
		return out
	}
}

// TestImage holds the Dockerfile to what it promises, as far as that can be seen
// without building it.
func TestImage(t *testing.T) {
	t.Parallel()
	of := instructions(t)
	if got := of("FROM"); !slices.Equal(got, []string{"scratch"}) {
		t.Errorf("the last stage is from %q", got)
	}
	if got := of("RUN"); len(got) > 0 {
		t.Errorf("an empty image runs %q", got)
	}
	if got := of("USER"); !slices.Equal(got, []string{imageUser + ":" + imageUser}) {
		t.Errorf("user %q", got)
	}
	if got := strings.Join(of("VOLUME"), " "); got != imageState {
		t.Errorf("volume %q", got)
	}
	if got := strings.Join(of("ENV"), " "); !strings.Contains(got, "RECONCILE_STATE_DIR="+imageState) {
		t.Errorf("environment %q", got)
	}
	copies := strings.Join(of("COPY"), "\n")
	for _, want := range []string{"--chown=" + imageUser + ":" + imageUser + " /out/state " + imageState, " /etc/ssl/certs/"} {
		if !strings.Contains(copies, want) {
			t.Errorf("%q is not copied:\n%s", want, copies)
		}
	}
	if strings.Contains(copies, " /tmp") {
		t.Error("a folder that is copied by itself gets mode 0755: nobody could write to /tmp")
	}
	_, health, _ := strings.Cut(strings.Join(of("HEALTHCHECK"), ""), "CMD ")
	for name, line := range map[string]string{"ENTRYPOINT": strings.Join(of("ENTRYPOINT"), ""), "CMD": strings.Join(of("CMD"), ""), "HEALTHCHECK": health} {
		var words []string
		if err := json.Unmarshal([]byte(line), &words); err != nil || len(words) == 0 {
			t.Errorf("%s %s needs a shell, which is not there: %v", name, line, err)
			continue
		}
		root := newRoot(&Process{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
		cmd, rest, err := root.Find(slices.DeleteFunc(words, func(w string) bool { return w == "/reconcile" }))
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil || name != "ENTRYPOINT" && cmd == root {
			t.Errorf("%s: %q is no command: %v", name, words, err)
		}
	}
}

// runnerOf reads a daemon.yaml and checks what it expects of a container: every
// secret lies in a folder of secrets, and the state is the image's.
func runnerOf(t *testing.T, text []byte, secrets []string) config.Config {
	t.Helper()
	c, err := config.Parse("/etc/terra-reconcile/daemon.yaml", text, func(name string) string {
		return map[string]string{"RECONCILE_STATE_DIR": imageState}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	files := append([]string{}, c.Identities.Files...)
	for _, place := range []config.Secret{c.Accounts["default"].Token, c.Repo.Auth.Token} {
		files = append(files, strings.TrimPrefix(place.String(), "file "))
	}
	for _, file := range files {
		if !slices.Contains(secrets, file) {
			t.Errorf("%s is not mounted; there is %v", file, secrets)
		}
	}
	if len(files) != 3 || c.StateDir != imageState || c.Apply {
		t.Errorf("files %v, state %s, apply %v", files, c.StateDir, c.Apply)
	}
	return c
}

// TestComposeExample: it is what its comments and the image say.
func TestComposeExample(t *testing.T) {
	t.Parallel()
	dir := "../../examples/container"
	text, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Image, Build, Restart string
			StopGracePeriod       string   `yaml:"stop_grace_period"`
			ReadOnly              bool     `yaml:"read_only"`
			Tmpfs                 []string `yaml:"tmpfs"`
			CapDrop               []string `yaml:"cap_drop"`
			SecurityOpt           []string `yaml:"security_opt"`
			Volumes, Secrets      []string
		}
		Volumes map[string]struct{}
		Secrets map[string]struct{ File string }
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	s := file.Services["reconcile"]
	if _, err := os.Stat(filepath.Join(dir, s.Build, "Dockerfile")); err != nil || !s.ReadOnly {
		t.Errorf("%v, %+v", err, s)
	}
	if want := []string{"./runner:/etc/terra-reconcile:ro", "state:" + imageState}; !slices.Equal(s.Volumes, want) {
		t.Errorf("volumes %q, want %q", s.Volumes, want)
	}
	var mounted []string
	for _, name := range s.Secrets {
		mounted = append(mounted, "/run/secrets/"+name)
		if file.Secrets[name].File != "./secrets/"+name {
			t.Errorf("secret %s is %+v", name, file.Secrets[name])
		}
	}
	runner, err := os.ReadFile(filepath.Join(dir, "runner", "daemon.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	runnerOf(t, runner, mounted)
}

// manifest is what the test looks at of a Kubernetes object.
type manifest struct {
	Kind string
	Data map[string]string
	Spec struct {
		Replicas int
		Strategy struct{ Type string }
		Template struct {
			Spec struct {
				Security   map[string]any `yaml:"securityContext"`
				Containers []struct {
					Security map[string]any `yaml:"securityContext"`
					Ports    []struct {
						Name string
						Port int `yaml:"containerPort"`
					}
					Liveness struct {
						Get struct{ Path, Port string } `yaml:"httpGet"`
					} `yaml:"livenessProbe"`
					Mounts []struct {
						Name string
						Path string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name string
					Mode int `yaml:"-"`
				}
			}
		}
	}
}

// TestKubernetesExample: it is what its comments and the image say.
func TestKubernetesExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../examples/kubernetes/base/terra-reconcile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]manifest{}
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var m manifest
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kinds[m.Kind] = m
	}
	spec := kinds["Deployment"].Spec
	pod := spec.Template.Spec
	if spec.Replicas != 1 || spec.Strategy.Type != "Recreate" || len(pod.Containers) != 1 {
		t.Fatalf("%+v", spec)
	}
	for _, id := range []string{"runAsUser", "runAsGroup", "fsGroup"} {
		if got := pod.Security[id]; got != 65532 {
			t.Errorf("%s is %v", id, got)
		}
	}
	c := pod.Containers[0]
	if c.Security["readOnlyRootFilesystem"] != true || c.Security["allowPrivilegeEscalation"] != false {
		t.Errorf("%v", c.Security)
	}
	mounts := map[string]string{}
	for _, m := range c.Mounts {
		mounts[m.Name] = m.Path
	}
	for _, v := range pod.Volumes {
		if mounts[v.Name] == "" {
			t.Errorf("volume %s is not mounted", v.Name)
		}
	}
	if len(mounts) != len(pod.Volumes) || mounts["state"] != imageState || mounts["tmp"] != "/tmp" || mounts["config"] != "/etc/terra-reconcile" {
		t.Errorf("mounts %v", mounts)
	}
	var secrets []string
	for _, m := range regexp.MustCompile(`--from-file=([a-z-]+)`).FindAllStringSubmatch(string(text), -1) {
		secrets = append(secrets, path.Join(mounts["secrets"], m[1]))
	}
	runner := runnerOf(t, []byte(kinds["ConfigMap"].Data["daemon.yaml"]), secrets)
	host, port, err := net.SplitHostPort(runner.Listen)
	if err != nil || host != "0.0.0.0" || port != strconv.Itoa(c.Ports[0].Port) || c.Liveness.Get.Port != c.Ports[0].Name || c.Liveness.Get.Path != "/healthz" {
		t.Errorf("it listens on %s, the probe asks %+v", runner.Listen, c)
	}
}
