package gitsource

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// openLocal opens the repository at dir; with climb also one that dir lies in.
// Of the configuration it reads the repository's own file, and there only what
// says how objects are stored.
func openLocal(dir string, climb bool) (local, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return local{}, &NotFoundError{Reason: "there is no such folder; check the path"}
	}
	for at := dir; ; at = filepath.Dir(at) {
		if isGitDir(at) {
			return openGitDir(at, "")
		}
		found, err := dotGit(at)
		if err != nil {
			return local{}, err
		}
		if found != "" {
			return openGitDir(found, at)
		}
		if !climb || at == filepath.Dir(at) {
			return local{}, &NotFoundError{Reason: "the folder holds no git repository; run git init, or check the path"}
		}
	}
}

// isGitDir knows a git directory as git does: by what has to be in it.
func isGitDir(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// dotGit returns the git directory of the work tree at dir, or "" if there is
// none. It may lie elsewhere: .git is a file then, in linked work trees and
// submodules.
func dotGit(dir string) (string, error) {
	path := filepath.Join(dir, ".git")
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return path, nil
	}
	target, err := pointer(path, "gitdir: ")
	if err != nil {
		return "", &CorruptError{Reason: "the file .git can not be read: " + clean(err.Error())}
	}
	return target, nil
}

// pointer reads a file that holds a path after prefix, relative to the file.
func pointer(file, prefix string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	target, found := strings.CutPrefix(strings.TrimSpace(string(data)), prefix)
	if !found || target == "" {
		return "", errors.New("it names no directory")
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(file), target)
	}
	return target, nil
}

// openGitDir opens the git directory dir of the work tree root ("" for none).
func openGitDir(dir, root string) (local, error) {
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		return local{}, &CorruptError{Reason: "the git directory has no HEAD: " + clean(err.Error())}
	}
	files := osfs.New(dir)
	shared, err := pointer(filepath.Join(dir, "commondir"), "")
	switch {
	case err == nil:
		files = dotgit.NewRepositoryFilesystem(files, osfs.New(shared))
	case !errors.Is(err, os.ErrNotExist):
		return local{}, &CorruptError{Reason: "the file commondir can not be read: " + clean(err.Error())}
	}
	store := filesystem.NewStorageWithOptions(files, cache.NewObjectLRUDefault(),
		// Clones made with --shared or --reference keep objects elsewhere.
		filesystem.Options{AlternatesFS: osfs.New("/")})
	settings, err := store.Config()
	if err != nil {
		return local{}, &CorruptError{Reason: "the repository's configuration can not be read: " + clean(err.Error())}
	}
	if err := checkFormat(settings); err != nil {
		return local{}, err
	}
	return local{store: store, files: files, root: root}, nil
}

// checkFormat refuses repositories that store things in ways not known here.
func checkFormat(settings *config.Config) error {
	version := settings.Raw.Section("core").Option("repositoryformatversion")
	if !slices.Contains([]string{"", "0", "1"}, version) {
		return &UnsupportedError{What: "format version " + clean(version)}
	}
	for _, option := range settings.Raw.Section("extensions").Options {
		name, value := strings.ToLower(option.Key), strings.ToLower(option.Value)
		switch {
		case slices.Contains([]string{"noop", "noop-v1", "worktreeconfig", "preciousobjects", "partialclone"}, name):
		case name == "objectformat" && value == "sha1":
		case name == "refstorage" && value == "files":
		default:
			return &UnsupportedError{What: fmt.Sprintf("extensions.%s = %s", clean(name), clean(value))}
		}
	}
	return nil
}
