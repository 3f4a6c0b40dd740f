package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

// packages writes what Debian and Red Hat install: the program, its manual pages and
// completions, the unit of systemd and the user whom it runs as. It starts nothing.
func (r release) packages(source string, p platform, binary string, beside extra) error {
	contents := files.Contents{
		r.content(binary, "/usr/bin/reconcile", 0o755),
		r.content(filepath.Join(source, "LICENSE"), "/usr/share/doc/terra-reconcile/copyright", 0o644),
		r.content(filepath.Join(source, "CHANGELOG.md"), "/usr/share/doc/terra-reconcile/CHANGELOG.md", 0o644),
		r.content(filepath.Join(source, "examples/daemon.yaml"), "/usr/share/doc/terra-reconcile/daemon.yaml", 0o644),
		r.content(filepath.Join(source, "examples/systemd/terra-reconcile.service"), "/usr/lib/systemd/system/terra-reconcile.service", 0o644),
		r.content(filepath.Join(source, "examples/systemd/terra-reconcile.sysusers"), "/usr/lib/sysusers.d/terra-reconcile.conf", 0o644),
		{Destination: "/etc/terra-reconcile", Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o755, MTime: r.date}},
	}
	var places []string
	for place := range beside {
		places = append(places, place)
	}
	slices.Sort(places)
	for i, place := range places {
		at := filepath.Join(r.work, fmt.Sprintf("extra-%s-%d", p, i))
		if err := os.WriteFile(at, beside[place], 0o644); err != nil {
			return err
		}
		contents = append(contents, r.content(at, "/usr/share/"+place, 0o644))
	}
	info := &nfpm.Info{
		Name: "terra-reconcile", Arch: p.arch, Platform: p.os, Version: r.version, MTime: r.date, DisableGlobbing: true,
		Section: "admin", Priority: "optional", License: "Apache-2.0", Maintainer: "terra-reconcile <terra-reconcile@users.noreply.github.com>",
		Homepage:     "https://github.com/terra-reconcile/terra-reconcile",
		Description:  "Keep Terra's data-source connections as a git repository says.\nPreviews what it would change, applies on a schedule, rotates dedicated keys.",
		Overridables: nfpm.Overridables{Contents: contents, Recommends: []string{"ca-certificates"}, Suggests: []string{"git"}},
	}
	for name, script := range map[*string]string{&info.Scripts.PostInstall: "postinstall.sh", &info.Scripts.PreRemove: "preremove.sh"} {
		*name = filepath.Join(source, ".ci/release", script)
	}
	info.Overridables.RPM.BuildHost = "reproducible"
	for ending, packager := range map[string]nfpm.Packager{"deb": deb.Default, "rpm": rpm.DefaultRPM} {
		copied := *info
		copied.Contents = slices.Clone(contents)
		ready := nfpm.WithDefaults(&copied)
		if err := nfpm.PrepareForPackager(ready, ending); err != nil {
			return err
		}
		out, err := os.Create(r.path(p.String() + "." + ending))
		if err != nil {
			return err
		}
		if err := packager.Package(ready, out); err != nil {
			return fmt.Errorf("%s: %w", ending, err)
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (r release) content(from, to string, mode os.FileMode) *files.Content {
	return &files.Content{Source: from, Destination: to, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: r.date, Owner: "root", Group: "root"}}
}
