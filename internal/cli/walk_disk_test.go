//go:build linux && amd64

package cli

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// disk keeps what a process did to files and did not yet put on disk: what a power
// cut may take away, in any part and order.
type disk struct {
	spare  string // a folder for names that are removed
	writes []*undo
	names  []*name
	files  map[uint64]*os.File // by inode, open for as long as the disk lives
}

// undo is a change of a file's contents or length.
type undo struct {
	file             *os.File
	inode            uint64
	at               int64
	old, new         []byte
	oldSize, newSize int64
	resizes, made    bool
}

// name is one that came into a folder, or with spare went from it.
type name struct{ path, spare string }

func (d *disk) unsynced() bool { return len(d.writes)+len(d.names) > 0 }

// before remembers what is about to be changed.
func (d *disk) before(link string, at, length int64) (*undo, error) {
	info, err := os.Stat(link)
	if err != nil {
		return nil, err
	}
	inode := inodeOf(info)
	u := &undo{inode: inode, at: at, oldSize: info.Size()}
	if u.file = d.files[inode]; u.file == nil {
		if u.file, err = os.OpenFile(link, os.O_RDWR, 0); err != nil {
			return nil, err
		}
		if d.files == nil {
			d.files = map[uint64]*os.File{}
		}
		d.files[inode] = u.file
	}
	if length == 0 { // what lies behind goes
		u.resizes, length = true, max(0, u.oldSize-at)
	}
	u.old, err = readAt(u.file, at, length)
	d.writes = append(d.writes, u)
	return u, err
}

// done is called once n bytes were written.
func (u *undo) done(n int64) error {
	info, err := u.file.Stat()
	if err != nil {
		return err
	}
	u.made, u.newSize = true, info.Size()
	u.new, err = readAt(u.file, u.at, n)
	return err
}

// synced forgets what cannot be lost any more.
func (d *disk) synced(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	inode := inodeOf(info)
	d.writes = slices.DeleteFunc(d.writes, func(u *undo) bool { return u.inode == inode })
	if info.IsDir() {
		d.names = slices.DeleteFunc(d.names, func(n *name) bool { return filepath.Dir(n.path) == path })
	}
	return nil
}

func (d *disk) named(path string) error {
	d.names = append(d.names, &name{path: path})
	return nil
}

// unnamed remembers a file that is about to lose a name.
func (d *disk) unnamed(path string) error {
	n := &name{path: path, spare: filepath.Join(d.spare, fmt.Sprintf("spare-%d", len(d.names)))}
	d.names = append(d.names, n)
	if err := os.Remove(n.spare); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Link(path, n.spare)
}

// cut loses some of what is not on disk: each name and each write, and of a write
// that stays some of its sectors.
func (d *disk) cut(r *rand.Rand) error {
	for _, n := range slices.Backward(d.names) {
		if r.IntN(2) == 0 {
			continue
		}
		var err error
		if n.spare == "" {
			err = os.Remove(n.path)
		} else if _, gone := os.Lstat(n.path); gone != nil {
			err = os.Link(n.spare, n.path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, u := range slices.Backward(d.writes) {
		if err := u.take(); err != nil {
			return err
		}
	}
	for _, u := range d.writes {
		if r.IntN(2) == 0 && u.made {
			if err := u.give(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// take brings back what was there before.
func (u *undo) take() error {
	_, err := u.file.WriteAt(u.old, u.at)
	return errors.Join(err, u.file.Truncate(u.oldSize))
}

// give makes the change once more, or of long contents only some sectors.
func (u *undo) give(r *rand.Rand) error {
	if u.resizes {
		return u.file.Truncate(u.newSize)
	}
	whole := r.IntN(2) == 0
	for from := u.at; from < u.at+int64(len(u.new)); {
		to := min(from/sector*sector+sector, u.at+int64(len(u.new)))
		if whole || r.IntN(2) == 0 {
			if _, err := u.file.WriteAt(u.new[from-u.at:to-u.at], from); err != nil {
				return err
			}
		}
		from = to
	}
	if info, err := u.file.Stat(); err != nil || info.Size() >= u.newSize || r.IntN(2) == 0 {
		return err
	}
	return u.file.Truncate(u.newSize) // its length came to the disk, and zeros
}

// die leaves the files as a death leaves them.
func (d *disk) die(how death, r *rand.Rand) (err error) {
	if how.kind == powerCut {
		err = d.cut(r)
	}
	for _, f := range d.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

func readAt(f *os.File, at, length int64) ([]byte, error) {
	out := make([]byte, length)
	n, err := f.ReadAt(out, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return out[:n], err
}

func inodeOf(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
