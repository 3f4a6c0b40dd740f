package main

import (
	"os"
	"path/filepath"
	"slices"
)

// secretFiles warns of files below top with the runner's secrets that are not for
// their owner, or the owner's group, alone.
func (d *doctor) secretFiles(top string) {
	files := append(slices.Clone(d.config.Identities.Files), d.config.Repo.Auth.SSHKeyFile, d.config.Repo.Auth.Token.File())
	for _, account := range d.config.Accounts {
		files = append(files, account.Token.File())
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		if file != "" && isForAll(file, top) {
			d.warn("secret file", "", file+" can be read by every user of this machine", "take that right from others (chmod o=)")
		}
	}
}

// isForAll tells whether any user of the machine can read or replace a file: by its
// own rights, and those of the folders from top on that lead to it.
func isForAll(file, top string) bool {
	const others, search = 0o006, 0o001
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false // whoever reads it says so
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&others == 0 {
		return false
	}
	for dir := file; dir != top && dir != "/" && dir != "."; {
		dir = filepath.Dir(dir)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&search == 0 {
			return false
		}
	}
	return true
}
