package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one file or folder of an archive, a package or the image.
type file struct {
	name string // without a slash before it
	data []byte // of a folder nil
	mode int64
	dir  bool
	user int // its number, also of the group
}

// extra is what stands beside the program, by its place below /usr/share.
type extra map[string][]byte

// extras has the program of this machine write its manual pages and its completions.
func (r release) extras(source, program string) (extra, error) {
	pages := filepath.Join(r.work, "man")
	env := []string{"HOME=" + r.work, "PATH=" + os.Getenv("PATH")}
	if _, err := output(source, env, program, "man", pages); err != nil {
		return nil, err
	}
	out := extra{}
	entries, err := os.ReadDir(pages)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(pages, e.Name()))
		if err != nil {
			return nil, err
		}
		out["man/man1/"+e.Name()] = text
	}
	for shell, place := range map[string]string{
		"bash": "bash-completion/completions/reconcile", "zsh": "zsh/vendor-completions/_reconcile", "fish": "fish/vendor_completions.d/reconcile.fish",
	} {
		text, err := output(source, env, program, "completion", shell)
		if err != nil {
			return nil, err
		}
		out[place] = []byte(text + "\n")
	}
	return out, nil
}

// archive writes what people unpack themselves.
func (r release) archive(source string, p platform, binary string, beside extra) error {
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	top := "terra-reconcile_" + r.version + "_" + p.String()
	files := []file{{name: top, mode: 0o755, dir: true}, {name: top + "/reconcile", data: program, mode: 0o755}}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return err
		}
		files = append(files, file{name: top + "/" + name, data: text, mode: 0o644})
	}
	for name, text := range beside {
		files = append(files, file{name: top + "/share/" + name, data: text, mode: 0o644})
	}
	out, err := os.Create(r.path(p.String() + ".tar.gz"))
	if err != nil {
		return err
	}
	packed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := writeTar(packed, files, r.date); err != nil {
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return out.Close()
}

// writeTar writes files in the order of their names, with the folders that hold them before.
func writeTar(to io.Writer, files []file, at time.Time) error {
	known := map[string]bool{}
	for _, f := range files {
		known[f.name] = true
	}
	for _, f := range files {
		for dir := path.Dir(f.name); dir != "." && !known[dir]; dir = path.Dir(dir) {
			known[dir] = true
			files = append(files, file{name: dir, mode: 0o755, dir: true})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	w := tar.NewWriter(to)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Uid: f.user, Gid: f.user, ModTime: at, Format: tar.FormatPAX}
		if f.dir {
			h.Typeflag, h.Name = tar.TypeDir, f.name+"/"
		}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("pack %s: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	return w.Close()
}
