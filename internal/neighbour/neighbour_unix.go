//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package neighbour

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

// Alone tells the first process of a container, which has nobody beside it. Its volumes are
// often open to all.
func Alone() bool { return os.Getpid() == 1 }

// File refuses the file at path where another user could write to it, or put another one in
// its place, as an [*OpenError]. name is what messages call it. A file that cannot be looked
// at is not refused: whoever opens it says why. One that is not there is refused where
// anybody could make it.
func File(name, path string) error { return judge(file(name), path, os.Stat) }

// Opened is [File] for a file that was opened by its name.
func Opened(name string, f *os.File) error {
	return judge(file(name), f.Name(), func(string) (fs.FileInfo, error) { return f.Stat() })
}

// Unread refuses a file that holds a secret where another user could read it, as an
// [*OpenError]. name is what messages call it. A file that cannot be looked at is not
// refused: whoever opens it says why.
func Unread(name, path string) error {
	info, err := os.Stat(path)
	if err != nil || Alone() || hasNoUsers() || info.Mode()&fs.ModeDevice != 0 {
		return nil //nolint:nilerr // whoever opens it says so
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case mode&0o004 != 0:
		return &OpenError{advice.With(fmt.Errorf("every user of this machine can read %s %s", name, path), "take that right from others (chmod o-r), and put another secret there if somebody may have read it")}
	case ok && mode&0o040 != 0 && IsShared(int(stat.Gid), os.Geteuid()):
		return &OpenError{advice.With(fmt.Errorf("the members of group %d can read %s %s", stat.Gid, name, path), "take that right from the group (chmod g-r), and put another secret there if one of them may have read it")}
	}
	return nil
}

func judge(what Thing, path string, look func(string) (fs.FileInfo, error)) error {
	if Alone() || hasNoUsers() {
		return nil
	}
	me := os.Geteuid()
	end, err := Way(what, path, me)
	if err != nil {
		return &OpenError{err}
	}
	info, err := look(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = judgeGap(what, path, filepath.Dir(end))
	case err != nil:
		return nil //nolint:nilerr // whoever opens it says so
	default:
		err = judgeFile(what, path, end, info, me)
	}
	if err != nil {
		return &OpenError{err}
	}
	return nil
}

// hasNoUsers tells a container that holds one program, such as our image.
func hasNoUsers() bool {
	_, err := os.Stat("/etc/passwd")
	return errors.Is(err, fs.ErrNotExist)
}

// judgeGap refuses a folder like /tmp for a file that is not there: whoever makes it first
// owns it.
func judgeGap(what Thing, path, folder string) error {
	info, err := os.Lstat(folder)
	if err != nil || info.Mode().Perm()&0o002 == 0 || what.isReadOnly(folder) {
		return nil //nolint:nilerr // it is not there either
	}
	return advice.With(fmt.Errorf("%s %s is not there, and every user of this machine can put a file in its place", what.Name, path), what.Keep)
}

// judgeFile says why a process of user me does not read a file. What is written to a device
// is not what is read of it.
func judgeFile(what Thing, path, end string, info fs.FileInfo, me int) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case mode&fs.ModeDevice != 0:
		return nil
	case mode.Perm()&0o002 != 0 && !what.isReadOnly(end):
		return advice.With(fmt.Errorf("every user of this machine can write to %s %s", what.Name, path), "take that right from others (chmod o-w), after a look at what is in it")
	case !ok:
		return nil
	case !isTrusted(stat, me) && me == 0:
		return advice.With(fmt.Errorf("%s %s belongs to user %d, who could change it, and this process runs as root", what.Name, path, stat.Uid),
			fmt.Sprintf("run it as that user (sudo -u '#%d'), or where nothing of that user reads the file give it to root, after a look at what is in it", stat.Uid))
	case !isTrusted(stat, me):
		return advice.With(fmt.Errorf("%s %s belongs to user %d, who could change it (this process runs as user %d)", what.Name, path, stat.Uid, me),
			"give it to this user or to root, after a look at what is in it")
	case mode.Perm()&0o020 != 0 && IsShared(int(stat.Gid), me) && !what.isReadOnly(end):
		return advice.With(fmt.Errorf("the members of group %d can write to %s %s", stat.Gid, what.Name, path), "take that right from the group (chmod g-w), after a look at what is in it")
	}
	return nil
}

// Way judges each folder and each link on the way to a thing: whoever can change one of
// them can put another thing in its place. It gives where path leads, as far as that is there.
func Way(what Thing, path string, me int) (end string, err error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", what.Name, err)
	}
	at, rest := "/", strings.Split(full, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" {
			continue
		}
		if err := judgeAbove(what, path, at, me); err != nil {
			return "", err
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			return next, nil //nolint:nilerr // not there yet, or not to be seen, which opening it says
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if err := judgeOwner(what, path, next, info, me); err != nil {
			return "", err
		}
		target, err := os.Readlink(next)
		if links++; err != nil || links > 40 {
			return "", fmt.Errorf("look at %s %s: the link %s leads nowhere", what.Name, path, next)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// judgeAbove says why a folder above lets others put another thing in place of one. In a
// folder that is sticky, like /tmp, they move only what is theirs, and in one that is
// mounted to be read, like a volume of Kubernetes, nothing.
func judgeAbove(what Thing, path, above string, me int) error {
	info, err := os.Lstat(above)
	if err != nil {
		return nil //nolint:nilerr // not to be seen, which opening the thing says
	}
	mode := info.Mode()
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case mode&fs.ModeSticky != 0 || mode.Perm()&0o022 != 0 && what.isReadOnly(above):
	case mode.Perm()&0o002 != 0:
		return advice.With(fmt.Errorf("every user of this machine can put another %s in the place of %s %s, because %s is open to them", what.Kind, what.Name, path, above),
			"take that right from others (chmod o-w)"+what.Other)
	case ok && mode.Perm()&0o020 != 0 && IsShared(int(stat.Gid), me):
		return advice.With(fmt.Errorf("the members of group %d can put another %s in the place of %s %s, because %s is open to them", stat.Gid, what.Kind, what.Name, path, above),
			"take that right from the group (chmod g-w)"+what.Other)
	}
	return judgeOwner(what, path, above, info, me)
}

// judgeOwner says why what lies on the way to a thing must not be of its owner.
func judgeOwner(what Thing, path, at string, info fs.FileInfo, me int) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || isTrusted(stat, me) {
		return nil
	}
	return advice.With(fmt.Errorf("user %d can put another %s in the place of %s %s, because %s belongs to them (this process runs as user %d)", stat.Uid, what.Kind, what.Name, path, at, me), what.Keep)
}

// isTrusted tells what belongs to root, to user me or to the machine around.
func isTrusted(stat *syscall.Stat_t, me int) bool {
	return stat.Uid == 0 || int(stat.Uid) == me || stat.Uid == unmapped && inNamespace()
}

// isReadOnly tells whether what is open to all lies in a file system that is mounted to be
// read only.
func (t Thing) isReadOnly(path string) bool {
	const write = 2
	if t.readOnly != nil {
		return t.readOnly(path)
	}
	return errors.Is(syscall.Access(path, write), syscall.EROFS)
}

// unmapped is as whose a user namespace shows what belongs to the machine around it.
const unmapped = 65534

// inNamespace tells whether this process knows a part of the machine's users alone.
func inNamespace() bool {
	users, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(users)), " ") != "0 0 4294967295"
}

// IsShared tells whether a group may have members beside user me and root. Where no group
// has a name, as in a container that holds one program, there are no others.
func IsShared(group, me int) bool {
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	users, err := os.ReadFile("/etc/passwd")
	return err != nil || hasOthers(string(groups), string(users), strconv.Itoa(group), strconv.Itoa(me))
}

// hasOthers is IsShared by the text of /etc/group and /etc/passwd. A group that they do not
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
