package main

import (
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// watch wakes the daemon when a repository that is a folder of this machine gets
// a new commit. A repository elsewhere is only polled. The channel says "look
// again", never what happened, and what cannot be watched is polled too.
func watch(url string, log *slog.Logger) (wake <-chan struct{}, stop func()) {
	dir := url
	if info, err := os.Stat(filepath.Join(url, ".git")); err == nil && info.IsDir() {
		dir = filepath.Join(url, ".git")
	}
	if info, err := os.Stat(filepath.Join(dir, "refs", "heads")); err != nil || !info.IsDir() {
		return nil, func() {}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("the repository is polled, not watched", "error", err.Error())
		return nil, func() {}
	}
	// Folders, not files: git replaces files, and a watch on one goes blind.
	for _, folder := range []string{dir, filepath.Join(dir, "refs", "heads")} {
		if err := watcher.Add(folder); err != nil {
			log.Warn("the repository is polled, not watched", "error", err.Error())
		}
	}
	out := make(chan struct{}, 1)
	go func() {
		for range watcher.Events {
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	go func() {
		for err := range watcher.Errors {
			log.Warn("watching the repository", "error", err.Error())
		}
	}()
	return out, func() { _ = watcher.Close() }
}
