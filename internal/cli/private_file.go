package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// maxEdited is how many bytes a private file may have after it was edited.
const maxEdited = 1 << 20

// privateFile is a file for secrets in a folder that only this user can enter, in memory
// where the machine has a folder that is. An editor may put other files beside it.
type privateFile struct {
	dir, name string
	first     *os.File // as it was made: an editor may put another one in its place
}

// newPrivateFile makes one. It says so where it has to be on a disk.
func newPrivateFile(proc *Process) (*privateFile, error) {
	for _, parent := range []string{proc.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if filepath.IsAbs(parent) && isMemory(parent) {
			if f, err := makePrivateFile(parent); err == nil {
				return f, nil
			}
		}
	}
	f, err := makePrivateFile(os.TempDir())
	if err == nil {
		_, _ = fmt.Fprintf(proc.Stderr, "warning: no folder of this machine is in memory alone: the secrets stand in %s until the editor ends\n", f.dir)
	}
	return f, err
}

func makePrivateFile(parent string) (*privateFile, error) {
	dir, err := os.MkdirTemp(parent, "reconcile-edit-")
	if err != nil {
		return nil, err
	}
	f := &privateFile{dir: dir, name: filepath.Join(dir, "secrets.env")}
	if f.first, err = os.OpenFile(f.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return f, nil
}

func (f *privateFile) write(text string) error { return os.WriteFile(f.name, []byte(text), 0o600) }

func (f *privateFile) read() (string, error) {
	info, err := os.Lstat(f.name)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("the editor left no file")
	case info.Size() > maxEdited:
		return "", errors.New("it is larger than 1 MiB")
	}
	text, err := os.ReadFile(f.name)
	return string(text), err
}

// wipe overwrites every file of the folder and removes it.
func (f *privateFile) wipe() error {
	err := errors.Join(overwrite(f.first), f.first.Close())
	folder, opened := os.OpenRoot(f.dir)
	if errors.Is(opened, fs.ErrNotExist) {
		return err // the editor removed it
	}
	if opened != nil {
		return errors.Join(err, opened)
	}
	err = errors.Join(err, fs.WalkDir(folder.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := folder.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(overwrite(file), file.Close())
	}))
	return errors.Join(err, folder.Close(), os.RemoveAll(f.dir))
}

func overwrite(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := file.Write(make([]byte, info.Size())); err != nil {
		return err
	}
	return file.Sync()
}

// guardSignals makes a context that ends with each signal to end, so that nothing has to
// be left behind: not even a second one ends the process at once. While typing is set the
// keys of a terminal are an editor's, and what Ctrl-C sends is passed over.
func guardSignals(ctx context.Context, onTerminal bool) (guarded context.Context, typing *atomic.Bool, stop func()) {
	guarded, cancel := context.WithCancel(ctx)
	typing = &atomic.Bool{}
	caught, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Reset(os.Interrupt, syscall.SIGTERM) // of main, which would end the process
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-caught:
				if key := s == os.Interrupt || s == syscall.SIGQUIT; !key || !onTerminal || !typing.Load() {
					cancel()
				}
			}
		}
	}()
	return guarded, typing, func() {
		signal.Stop(caught)
		close(done)
		cancel()
	}
}
