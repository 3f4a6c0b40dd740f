package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image writes the image of all Linux machines as one file, an OCI layout, and gives the
// digest of its index. What is in it and how it runs is what the last stage of the Dockerfile
// says: an instruction that is not understood here ends the release.
func (r release) image(source string, binaries map[platform]string) (string, error) {
	text, err := os.ReadFile(filepath.Join(source, "Dockerfile"))
	if err != nil {
		return "", err
	}
	steps, err := lastStage(string(text))
	if err != nil {
		return "", err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms(true) {
		one, err := r.imageOf(steps, p, binaries[p])
		if err != nil {
			return "", fmt.Errorf("of %s: %w", p, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: p.os, Architecture: p.arch}}})
	}
	folder := filepath.Join(r.work, "image")
	at, err := layout.Write(folder, empty.Index)
	if err != nil {
		return "", err
	}
	names := map[string]string{"org.opencontainers.image.ref.name": "v" + r.version,
		"io.containerd.image.name": "docker.io/library/terra-reconcile:v" + r.version} // by which Docker and Podman know it once it is loaded
	if err := at.AppendIndex(index, layout.WithAnnotations(names)); err != nil {
		return "", err
	}
	digest, err := index.Digest()
	if err != nil {
		return "", err
	}
	out, err := os.Create(r.path("image.tar"))
	if err != nil {
		return "", err
	}
	files, err := filesBelow(folder)
	if err != nil {
		return "", err
	}
	if err := writeTar(out, files, r.date); err != nil {
		return "", err
	}
	return digest.String(), out.Close()
}

// instruction is one of a Dockerfile.
type instruction struct{ name, rest string }

// lastStage are the instructions behind the last FROM, which is from scratch.
func lastStage(text string) ([]instruction, error) {
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "")
	var steps []instruction
	from := ""
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "":
		case "FROM":
			steps, from = nil, rest
		default:
			steps = append(steps, instruction{name, strings.TrimSpace(rest)})
		}
	}
	if from != "scratch" {
		return nil, fmt.Errorf("the last stage of the Dockerfile is from %q, want scratch", from)
	}
	return steps, nil
}

// imageOf is the image of one machine: one layer, made of what the COPY instructions name.
func (r release) imageOf(steps []instruction, p platform, binary string) (v1.Image, error) {
	config := v1.Config{Labels: map[string]string{
		"org.opencontainers.image.title": "terra-reconcile", "org.opencontainers.image.version": "v" + r.version,
		"org.opencontainers.image.revision": r.commit, "org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.source": "https://github.com/terra-reconcile/terra-reconcile",
	}}
	var files []file
	for _, s := range steps {
		var err error
		switch s.name {
		case "COPY":
			var f file
			f, err = r.copied(s.rest, binary)
			files = append(files, f)
		case "ENV":
			config.Env = append(config.Env, strings.Fields(s.rest)...)
		case "USER":
			config.User = s.rest
		case "VOLUME":
			config.Volumes = map[string]struct{}{s.rest: {}}
		case "EXPOSE":
			config.ExposedPorts = map[string]struct{}{s.rest + "/tcp": {}}
		case "HEALTHCHECK":
			config.Healthcheck, err = healthcheck(s.rest)
		case "ENTRYPOINT":
			err = json.Unmarshal([]byte(s.rest), &config.Entrypoint)
		case "CMD":
			err = json.Unmarshal([]byte(s.rest), &config.Cmd)
		default:
			err = fmt.Errorf("the release does not know it")
		}
		if err != nil {
			return nil, fmt.Errorf("read %s %s of the Dockerfile: %w", s.name, s.rest, err)
		}
	}
	config.Env = append([]string{"PATH=/"}, config.Env...) // an engine would add its own default
	var packed bytes.Buffer
	if err := writeTar(&packed, files, r.date); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	one := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	one, err = mutate.ConfigFile(one, &v1.ConfigFile{OS: p.os, Architecture: p.arch, Created: v1.Time{Time: r.date}, Config: config})
	if err != nil {
		return nil, err
	}
	return mutate.Append(one, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: r.date}, CreatedBy: "terra-reconcile release"}})
}

// copied is what one COPY puts into the image, by the place where the stage that builds has it.
func (r release) copied(rest, binary string) (file, error) {
	fields := strings.Fields(rest)
	f := file{mode: 0o755}
	var paths []string
	for _, word := range fields {
		switch {
		case strings.HasPrefix(word, "--from="):
		case word == "--chown=65532:65532":
			f.user = 65532
		case strings.HasPrefix(word, "--"):
			return f, fmt.Errorf("%s is not known", word)
		default:
			paths = append(paths, word)
		}
	}
	if len(paths) != 2 {
		return f, fmt.Errorf("%d paths, want two", len(paths))
	}
	from, to := paths[0], strings.TrimPrefix(paths[1], "/")
	var err error
	switch from {
	case "/out/reconcile":
		f.name = to
		f.data, err = os.ReadFile(binary)
	case "/etc/ssl/certs/ca-certificates.crt":
		f.name, f.mode = to+"ca-certificates.crt", 0o644
		f.data, err = os.ReadFile(r.certificates)
		if err == nil && !bytes.Contains(f.data, []byte("BEGIN CERTIFICATE")) {
			err = fmt.Errorf("%s holds no certificate", r.certificates)
		}
	case "/out/state":
		f.name, f.dir = to, true
	case "/out/root/":
		f.name, f.dir, f.mode = to+"tmp", true, 0o1777
	default:
		err = fmt.Errorf("the release does not know %s", from)
	}
	return f, err
}

// healthcheck reads the options and the command of a HEALTHCHECK.
func healthcheck(rest string) (*v1.HealthConfig, error) {
	options, command, found := strings.Cut(rest, "CMD ")
	if !found {
		return nil, fmt.Errorf("it has no CMD")
	}
	h := &v1.HealthConfig{}
	var words []string
	if err := json.Unmarshal([]byte(command), &words); err != nil {
		return nil, err
	}
	h.Test = append([]string{"CMD"}, words...)
	places := map[string]*time.Duration{"--interval": &h.Interval, "--timeout": &h.Timeout, "--start-period": &h.StartPeriod}
	for _, option := range strings.Fields(options) {
		name, value, _ := strings.Cut(option, "=")
		d, err := time.ParseDuration(value)
		if err != nil || places[name] == nil {
			return nil, fmt.Errorf("%s is not known", option)
		}
		*places[name] = d
	}
	return h, nil
}

// filesBelow are all files of a folder.
func filesBelow(folder string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(folder, func(at string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, at)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(at)
		files = append(files, file{name: filepath.ToSlash(name), data: data, mode: 0o644})
		return err
	})
	return files, err
}
