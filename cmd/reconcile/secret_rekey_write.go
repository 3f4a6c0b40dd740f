package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// finish names what was laid open, writes the lock and the files, proves them from
// the disk, and says so. The lock comes first, with the old and the new secrets: a
// run after an interruption knows which files are done. It forgets the old ones
// last.
func (w *rekeying) finish(env *environment) error {
	for _, text := range []string{w.exposed(env), w.unnoted(env)} {
		if _, err := fmt.Fprint(env.Stderr, text); err != nil {
			return err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(w.files)) {
		if err := w.repository.unchanged(file, w.read[file]); err != nil {
			return err
		}
	}
	if len(w.files) > 0 {
		if err := w.repository.writeLock(w.lock); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	for i, file := range slices.Sorted(maps.Keys(w.files)) {
		if err := w.repository.write(w.repository.path(file), w.files[file]); err != nil {
			return fmt.Errorf("write %s: %w; %d of %d files are done, each is whole; run it again", file, err, i, len(w.files))
		}
	}
	if err := w.proveFiles(); err != nil {
		return err
	}
	if err := w.repository.saveLock(w.lock); err != nil {
		return err
	}
	_, err := fmt.Fprint(env.Stdout, w.summary())
	return err
}

// proveFiles reads the written files again and compares each secret that was
// sealed anew.
func (w *rekeying) proveFiles() error {
	written := map[string]string{}
	for file := range w.files {
		all, err := w.repository.sealedSecrets(file)
		if err != nil {
			return err
		}
		for _, at := range all {
			written[file+" "+dotted(at.Path)] = at.Armor
		}
	}
	for _, one := range w.done {
		sealed, err := secrets.Parse(written[one.connection.File+" "+dotted(one.at.Path)])
		if err == nil {
			_, err = w.proves(one, sealed)
		}
		if err != nil {
			return fmt.Errorf("prove %s: %w; put the file back with git and report this", one.where(), err)
		}
	}
	return nil
}

func (w *rekeying) summary() string {
	if len(w.done) == 0 {
		return fmt.Sprintf("Nothing to do: %s as terra.yaml says.\n", plural(w.kept, "secret is sealed", "secrets are sealed"))
	}
	var out strings.Builder
	for _, one := range w.done {
		out.WriteString(one.where())
		if one.before != one.place && one.before != (secrets.Binding{}) {
			fmt.Fprintf(&out, " (was for %s)", one.before)
		}
		out.WriteString("\n")
	}
	fmt.Fprintf(&out, "Sealed %s anew, left %d as they were.\n", plural(len(w.done), "secret", "secrets"), w.kept)
	if proved := len(w.done) - w.blind; proved > 0 {
		fmt.Fprintf(&out, "Proved: %s the same text as before.\n", plural(proved, "opens as", "open as"))
	}
	if w.blind > 0 {
		fmt.Fprintf(&out, "Not opened again: your own identity no longer opens %d.\n", w.blind)
	}
	fmt.Fprintf(&out, "Commit the files above and %s.\n", secrets.LockPath)
	return out.String()
}

// exposed names, by connection, what recipients who were taken out could read, and
// how to make it worthless.
func (w *rekeying) exposed(env *environment) string {
	groups := map[string][]resealed{} // by who was taken out
	for _, one := range w.done {
		if len(one.extra) > 0 {
			who := shortRecipients(one.extra)
			groups[who] = append(groups[who], one)
		}
	}
	out := newPage(env)
	for _, who := range slices.Sorted(maps.Keys(groups)) {
		out.paragraph("warning: " + who + " could open these secrets and may have kept them, and git keeps the old files. Make new ones in the provider's portal:")
		for i, one := range groups[who] {
			if i > 0 && groups[who][i-1].connection.File == one.connection.File && groups[who][i-1].place == one.place {
				continue // one new key is enough for all of a connection
			}
			one.remedy(out, w.repository)
		}
	}
	return out.out.String()
}

// remedy says where a secret is made anew and with which command it is put in.
func (s resealed) remedy(out *page, in secretRepository) {
	portal := ""
	if p, ok := providers.Lookup(s.connection.Provider); ok {
		portal = p.Portal
	}
	command := "`reconcile rotate add " + s.env.Name + "/" + s.connection.Provider + "`"
	if s.place.Field != plan.FieldClientSecret {
		command = in.sealing(s.connection.File, &secretFlags{field: s.place.Field})
	}
	out.add(fmt.Sprintf("  %s/%s %s\n", s.env.Name, s.connection.Provider, s.place.Field))
	if portal != "" {
		out.add("    " + portal + "\n")
	}
	out.folded("    ", command)
}

// unnoted says of how many secrets nobody knows who could read them before.
func (w *rekeying) unnoted(env *environment) string {
	count := 0
	for _, one := range w.done {
		if !one.noted {
			count++
		}
	}
	if count == 0 {
		return ""
	}
	out := newPage(env)
	out.paragraph(fmt.Sprintf("warning: nobody noted who could open %s before; if that was anybody who should not, make new ones", plural(count, "secret", "secrets")))
	return out.out.String()
}
