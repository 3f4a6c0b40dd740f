package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// create puts a complete, empty state at path: written under another name,
// synced, then linked. A crash leaves nothing at path, so a file there that is
// empty or cut is damage and never an unfinished start. When another process was
// faster, its state stays.
func create(dir, path string) error {
	temp, err := os.CreateTemp(dir, ".new-*."+fileName)
	if err != nil {
		return err
	}
	name := temp.Name()
	if err := temp.Close(); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	if err := initialise(name); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	point()
	if err := os.Link(name, path); err != nil {
		if _, there := os.Lstat(path); there != nil {
			return errors.Join(err, os.Remove(name))
		}
	}
	point()
	if err := removeUnfinished(dir); err != nil {
		return err
	}
	return syncFolder(dir)
}

func initialise(path string) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: writeTimeout, NoStatistics: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range topBuckets() {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		value, err := encode(formatRecord{V: recordVersion, Format: Version})
		if err != nil {
			return err
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), value)
	})
	return errors.Join(err, db.Close())
}

// removeUnfinished drops what starts that were killed, or too slow, have left
// behind, and our own name of a file that now has its final one. Only call it
// once the final one is there.
func removeUnfinished(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, ".new-*."+fileName))
	if err != nil {
		return fmt.Errorf("list unfinished state files: %w", err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
