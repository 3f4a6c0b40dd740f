//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
)

// noFollow keeps a link, and a pipe that waits for its other end, from being opened.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// thing is a state folder as [neighbour] speaks of it.
func thing() neighbour.Thing {
	return neighbour.Thing{Name: "state folder", Kind: "folder", Other: ", or name another folder with --state or state_dir",
		Keep: "name a folder with --state or state_dir that lies in folders of this user or of root alone"}
}

// CheckFolder refuses a state folder that somebody else could change, or that is for
// another user than this process's. One that is not there yet is judged by those above it.
func CheckFolder(dir string) error {
	if neighbour.Alone() {
		return nil
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return unusable(dir, fmt.Errorf("look at state folder: %w", err))
	default:
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("look at state folder %s: its owner is not known", dir)
		}
		if err := judgeFolder(dir, info.Mode(), int(stat.Uid), os.Geteuid()); err != nil {
			return err
		}
		if info.Mode().Perm()&0o020 != 0 && neighbour.IsShared(int(stat.Gid), os.Geteuid()) {
			return advice.With(fmt.Errorf("the members of group %d can write to state folder %s", stat.Gid, dir), "take that right from the group (chmod g-w), after a look at what is in it, or name another folder with --state or state_dir")
		}
	}
	_, err = neighbour.Way(thing(), dir, os.Geteuid())
	return err
}

// judgeFolder says why a process of user me does not keep its state in a folder of owner.
func judgeFolder(dir string, mode fs.FileMode, owner, me int) error {
	switch {
	case mode.Perm()&0o002 != 0:
		return advice.With(fmt.Errorf("every user of this machine can write to state folder %s", dir), "take that right from others (chmod o-w), after a look at what is in it, or name another folder with --state or state_dir")
	case owner == 0 || owner == me:
		return nil
	case me == 0:
		return advice.With(fmt.Errorf("state folder %s belongs to user %d, and this process runs as root: that user could not use what it writes, and could lead it astray", dir, owner),
			fmt.Sprintf("run it as that user (sudo -u '#%d'), or name another folder with --state or state_dir", owner))
	}
	return advice.With(fmt.Errorf("state folder %s belongs to user %d, who could change what is remembered (this process runs as user %d)", dir, owner, me),
		"give the folder to this user, or name another one with --state or state_dir")
}

// checkFile refuses what is no file, belongs to somebody else, or can be written by others.
func checkFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := judgeFile(info, os.Geteuid()); err != nil {
		return &fs.PathError{Op: "open", Path: f.Name(), Err: err}
	}
	return nil
}

func judgeFile(info fs.FileInfo, me int) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return errors.New("it is no file")
	case info.Mode().Perm()&0o002 != 0:
		return advice.With(errors.New("every user of this machine can write to it"), "take that right from others (chmod o-w), after a look at what is in it")
	case !ok, neighbour.Alone():
		return nil
	case stat.Uid != 0 && me == 0:
		return advice.With(fmt.Errorf("it belongs to user %d, who could change what is remembered, and this process runs as root", stat.Uid),
			fmt.Sprintf("run it as that user (sudo -u '#%d'), or where nothing of that user uses the state give the file to root, after a look at who put it there", stat.Uid))
	case stat.Uid != 0 && int(stat.Uid) != me:
		return advice.With(fmt.Errorf("it belongs to user %d, who could change what is remembered (this process runs as user %d)", stat.Uid, me),
			"give it to this user, after a look at who put it there")
	case info.Mode().Perm()&0o020 != 0 && neighbour.IsShared(int(stat.Gid), me):
		return advice.With(fmt.Errorf("the members of group %d can write to it", stat.Gid), "take that right from the group (chmod g-w), after a look at what is in it")
	}
	return nil
}

// linked says it where a file could not be opened because it is a link.
func linked(err error) error {
	var at *fs.PathError
	if errors.Is(err, syscall.ELOOP) && errors.As(err, &at) {
		return &fs.PathError{Op: "open", Path: at.Path, Err: errors.New("it is a link, which is not followed")}
	}
	return err
}
