// Command release makes everything that a release hands out, from the tracked files of one
// commit: archives, deb and rpm packages, a bill of materials of each binary, the OCI image
// of two machines, and the checksums of it all.
//
//	go -C .ci/release run . [-version V] [-out DIR] [-certificates FILE] [-linux-only]
//
// What it makes depends on the commit, the version, the Go release that go.mod names and the
// file of certificates, and on nothing else: two runs on two machines make the same bytes. It
// needs git and Go, no container engine, and neither signs nor uploads anything.
package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// platform is a machine that binaries are for.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "_" + p.arch }

func platforms(linuxOnly bool) []platform {
	all := []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"darwin", "amd64"}}
	if linuxOnly {
		all = all[:2]
	}
	return all
}

// release is one release while it is made.
type release struct {
	root         string    // of the repository
	version      string    // without the v before it
	commit       string    // whole hash
	date         time.Time // of the commit: the time of every file that is handed out
	certificates string    // file of the public authorities that the image trusts
	work         string    // for what is not handed out
	out          string
}

func main() {
	version := flag.String("version", "", "the `version`; that of the tag of this commit, else a snapshot's")
	out := flag.String("out", "dist", "the `folder` for all that is made; it is emptied")
	certificates := flag.String("certificates", "/etc/ssl/certs/ca-certificates.crt", "the `file` of public authorities for the image")
	linuxOnly := flag.Bool("linux-only", false, "leave macOS out")
	flag.Parse()
	if err := run(*version, *out, *certificates, *linuxOnly); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(version, out, certificates string, linuxOnly bool) error {
	r := release{certificates: certificates}
	var err error
	if r.root, err = output("", nil, "git", "rev-parse", "--show-toplevel"); err != nil {
		return err
	}
	if r.commit, err = output(r.root, nil, "git", "rev-parse", "HEAD"); err != nil {
		return err
	}
	seconds, err := output(r.root, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	r.date = time.Unix(unix, 0).UTC()
	if r.version, err = r.versionOf(version); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(out); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "release"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := r.empty(); err != nil {
		return err
	}
	source, err := r.checkOut()
	if err != nil {
		return err
	}
	return r.make(source, platforms(linuxOnly))
}

// versionOf is what was asked for, the tag of the commit, or a snapshot that sorts before the
// next release.
func (r release) versionOf(asked string) (string, error) {
	if asked == "" {
		if tag, err := output(r.root, nil, "git", "describe", "--tags", "--exact-match", "--match", "v[0-9]*"); err == nil {
			asked = tag
		}
	}
	asked = strings.TrimPrefix(cmp.Or(asked, "0.0.0-snapshot."+r.date.Format("20060102150405")+"."+r.commit[:12]), "v")
	for _, c := range asked {
		if !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-+", c) {
			return "", fmt.Errorf("version %q: letters, digits, dots, hyphens and plus signs alone", asked)
		}
	}
	if asked[0] < '0' || asked[0] > '9' {
		return "", fmt.Errorf("version %q begins with no digit", asked)
	}
	return asked, nil
}

// empty makes an empty folder to hand out. It removes nothing but what a former run made.
func (r release) empty() error {
	entries, err := os.ReadDir(r.out)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(entries) > 0 && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == checksums }) {
		return fmt.Errorf("%s holds files that no release made: name another folder, or empty it", r.out)
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	return os.MkdirAll(r.out, 0o755)
}

// checkOut puts the files of the commit into a folder of their own: what nobody committed is
// in no release.
func (r release) checkOut() (string, error) {
	source := filepath.Join(r.work, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return "", err
	}
	tar := exec.Command("git", "-C", r.root, "archive", "--format=tar", r.commit)
	extract := exec.Command("tar", "-x", "-C", source)
	var said bytes.Buffer
	tar.Stderr, extract.Stderr = &said, &said
	pipe, err := tar.StdoutPipe()
	if err != nil {
		return "", err
	}
	extract.Stdin = pipe
	for _, step := range []func() error{extract.Start, tar.Run, extract.Wait} {
		if err := step(); err != nil {
			return "", fmt.Errorf("check out %s: %w: %s", r.commit, err, said.String())
		}
	}
	return source, nil
}

func (r release) make(source string, machines []platform) error {
	binaries := map[platform]string{}
	for _, p := range machines {
		binary, err := r.build(source, p)
		if err != nil {
			return err
		}
		binaries[p] = binary
		if err := r.materials(source, p, binary); err != nil {
			return err
		}
	}
	native, err := r.build(source, host())
	if err != nil {
		return err
	}
	extras, err := r.extras(source, native)
	if err != nil {
		return err
	}
	for _, p := range machines {
		if err := r.archive(source, p, binaries[p], extras); err != nil {
			return fmt.Errorf("make archive of %s: %w", p, err)
		}
		if p.os != "linux" {
			continue
		}
		if err := r.packages(source, p, binaries[p], extras); err != nil {
			return fmt.Errorf("make packages of %s: %w", p, err)
		}
	}
	digest, err := r.image(source, binaries)
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	fmt.Println("image", digest)
	return r.sums()
}

// host is this machine, whose binary writes the manual pages.
func host() platform {
	got, _ := output("", nil, "go", "env", "GOHOSTOS", "GOHOSTARCH")
	name, arch, _ := strings.Cut(got, "\n")
	return platform{name, arch}
}

// build links the program for a machine, as the Dockerfile does.
func (r release) build(source string, p platform) (string, error) {
	binary := filepath.Join(r.work, p.String(), "reconcile")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	env := append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=-mod=readonly")
	_, err := output(source, env, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version=v"+r.version, "-o", binary, "./cmd/reconcile")
	return binary, err
}

// materials writes what a binary is made of.
func (r release) materials(source string, p platform, binary string) error {
	text, err := output(source, nil, ".ci/sbom", binary)
	if err != nil {
		return err
	}
	return os.WriteFile(r.path(p.String()+".cdx.json"), []byte(text+"\n"), 0o644)
}

func (r release) path(end string) string {
	return filepath.Join(r.out, "terra-reconcile_"+r.version+"_"+end)
}

// checksums is the file with the SHA-256 of all others, as sha256sum writes and checks it.
const checksums = "SHA256SUMS"

func (r release) sums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	fmt.Print(list.String())
	return os.WriteFile(filepath.Join(r.out, checksums), []byte(list.String()), 0o644)
}

// output runs a program in a folder and gives what it prints, without the last newline.
func output(dir string, env []string, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	var said bytes.Buffer
	c.Dir, c.Env, c.Stderr = dir, env, &said
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
