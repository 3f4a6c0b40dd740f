//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

// noFollow keeps a link, and a pipe that waits for its other end, from being opened.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// alone tells the first process of a container, which has nobody beside it. Its volumes are
// often open to all.
func alone() bool { return os.Getpid() == 1 }

// CheckFolder refuses a state folder that somebody else could change, or that is for
// another user than this process's. One that is not there yet is judged by those above it.
func CheckFolder(dir string) error {
	if alone() {
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
		if info.Mode().Perm()&0o020 != 0 && isShared(int(stat.Gid), os.Geteuid()) {
			return advice.With(fmt.Errorf("the members of group %d can write to state folder %s", stat.Gid, dir), "take that right from the group (chmod g-w), after a look at what is in it, or name another folder with --state or state_dir")
		}
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("look at state folder: %w", err)
	}
	return judgeWay(dir, full, os.Geteuid())
}

// judgeWay judges each folder and each link on the way to a state folder: whoever can
// change one of them can put another folder in its place.
func judgeWay(dir, full string, me int) error {
	at, rest := "/", strings.Split(full, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" {
			continue
		}
		if err := judgeAbove(dir, at, me); err != nil {
			return err
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			return nil //nolint:nilerr // not there yet, or not to be seen, which opening it says
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if err := judgeOwner(dir, next, info, me); err != nil {
			return err
		}
		target, err := os.Readlink(next)
		if links++; err != nil || links > 40 {
			return fmt.Errorf("look at state folder %s: the link %s leads nowhere", dir, next)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return nil
}

// judgeAbove says why a folder above lets others put another state folder in place of one.
// In a folder that is sticky, like /tmp, they move only what is theirs.
func judgeAbove(dir, above string, me int) error {
	info, err := os.Lstat(above)
	if err != nil {
		return nil //nolint:nilerr // not to be seen, which opening the state says
	}
	const or = ", or name another folder with --state or state_dir"
	mode := info.Mode()
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case mode.Perm()&0o002 != 0 && mode&fs.ModeSticky == 0:
		return advice.With(fmt.Errorf("every user of this machine can put another folder in the place of state folder %s, because %s is open to them", dir, above),
			"take that right from others (chmod o-w)"+or)
	case ok && mode.Perm()&0o020 != 0 && mode&fs.ModeSticky == 0 && isShared(int(stat.Gid), me):
		return advice.With(fmt.Errorf("the members of group %d can put another folder in the place of state folder %s, because %s is open to them", stat.Gid, dir, above),
			"take that right from the group (chmod g-w)"+or)
	}
	return judgeOwner(dir, above, info, me)
}

// judgeOwner says why what lies on the way to a state folder must not be of its owner.
func judgeOwner(dir, path string, info fs.FileInfo, me int) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Uid) == me || stat.Uid == unmapped && inNamespace() {
		return nil
	}
	return advice.With(fmt.Errorf("user %d can put another folder in the place of state folder %s, because %s belongs to them (this process runs as user %d)", stat.Uid, dir, path, me),
		"name a folder with --state or state_dir that lies in folders of this user or of root alone")
}

// unmapped is as whose a user namespace shows what belongs to the machine around it.
const unmapped = 65534

// inNamespace tells whether this process knows a part of the machine's users alone.
func inNamespace() bool {
	users, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(users)), " ") != "0 0 4294967295"
}

// isShared tells whether a group may have members beside user me and root. Where no group
// has a name, as in a container that holds one program, there are no others.
func isShared(group, me int) bool {
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	users, err := os.ReadFile("/etc/passwd")
	return err != nil || hasOthers(string(groups), string(users), strconv.Itoa(group), strconv.Itoa(me))
}

// hasOthers is isShared by the text of /etc/group and /etc/passwd. A group that they do not
// know may be anybody's.
func hasOthers(groups, users, group, me string) bool {
	mine := map[string]bool{"": true} // the names of me and of root
	for line := range strings.Lines(users) {
		user := strings.Split(strings.TrimSpace(line), ":")
		if len(user) < 4 {
			continue
		}
		if user[2] == me || user[2] == "0" {
			mine[user[0]] = true
		} else if user[3] == group {
			return true
		}
	}
	known := false
	for line := range strings.Lines(groups) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 4 || fields[2] != group {
			continue
		}
		known = true
		for _, name := range strings.Split(fields[3], ",") {
			if !mine[name] {
				return true
			}
		}
	}
	return !known
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
	case !ok, alone():
		return nil
	case stat.Uid != 0 && int(stat.Uid) != me:
		return advice.With(fmt.Errorf("it belongs to user %d, who could change what is remembered (this process runs as user %d)", stat.Uid, me),
			"give it to this user, after a look at who put it there")
	case info.Mode().Perm()&0o020 != 0 && isShared(int(stat.Gid), me):
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
