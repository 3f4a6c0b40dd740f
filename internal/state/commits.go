package state

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Commits of one environment, as full hashes; "" where there is none.
type Commits struct {
	Environment string // its name in the repository
	Attempted   string // what was tried last
	Applied     string // what was last in effect as a whole
}

type commitsRecord struct {
	V           int    `json:"v"`
	Environment string `json:"environment,omitempty"`
	Attempted   string `json:"attempted"`
	Applied     string `json:"applied"`
}

func (r commitsRecord) version() int { return r.V }

// goodRecord names the last commit in which the files of an environment had no error.
type goodRecord struct {
	V           int    `json:"v"`
	Environment string `json:"environment"`
	Commit      string `json:"commit"`
}

func (r goodRecord) version() int { return r.V }

// Commits gives the commits of an environment.
func (s *Store) Commits(devID string) (Commits, error) {
	record, err := readOne[commitsRecord](s, devID, keyCommits)
	if err != nil {
		return Commits{}, fmt.Errorf("recall commits of %s: %w", devID, err)
	}
	return Commits{record.Environment, record.Attempted, record.Applied}, nil
}

// SaveCommits replaces the commits of an environment. Where they are the same
// as before the disk is not touched.
func (s *Store) SaveCommits(devID string, c Commits) error {
	err := saveOne(s, devID, keyCommits, commitsRecord{recordVersion, c.Environment, c.Attempted, c.Applied})
	if err != nil {
		return fmt.Errorf("save commits of %s: %w", devID, err)
	}
	return nil
}

// Known is an environment that a run or a daemon has seen.
type Known struct {
	DevID string
	Commits
	Good string // the last commit in which its files had no error; only a daemon knows it
}

// Known gives all environments that have a name, sorted by it.
func (s *Store) Known() ([]Known, error) {
	var out []Known
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketEnvironments)).ForEachBucket(func(devID []byte) error {
			k := Known{DevID: string(devID)}
			env := environment(tx, k.DevID)
			commits, err := recordIn[commitsRecord](s, env, k.DevID, keyCommits)
			if err != nil {
				return err
			}
			good, err := recordIn[goodRecord](s, env, k.DevID, keyGood)
			if err != nil {
				return err
			}
			k.Commits = Commits{cmp.Or(good.Environment, commits.Environment), commits.Attempted, commits.Applied}
			if k.Good = good.Commit; k.Environment != "" {
				out = append(out, k)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("recall environments: %w", err)
	}
	slices.SortFunc(out, func(a, b Known) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.DevID, b.DevID))
	})
	return out, nil
}

// Good is the last good commit of an environment.
type Good struct{ DevID, Environment, Commit string }

// SaveGood replaces the last good commits of all environments: one that is not
// among them is forgotten. Where nothing differs the disk is not touched.
func (s *Store) SaveGood(all []Good) error {
	if s.readOnly {
		return fmt.Errorf("save good commits: %w", ErrReadOnly)
	}
	want := map[string][]byte{}
	for _, g := range all {
		if g.DevID == "" || g.Environment == "" || g.Commit == "" {
			return errors.New("save good commits: a dev_id, name or commit is empty")
		}
		value, err := encode(goodRecord{recordVersion, g.Environment, g.Commit})
		if err != nil {
			return fmt.Errorf("save good commits: %w", err)
		}
		want[g.DevID] = value
	}
	same := true
	err := s.view(func(tx *bolt.Tx) error {
		for devID, value := range want {
			env := environment(tx, devID)
			same = same && env != nil && bytes.Equal(env.Get([]byte(keyGood)), value)
		}
		return eachGood(tx, func(devID string, _ *bolt.Bucket) error {
			same = same && want[devID] != nil
			return nil
		})
	})
	if err == nil && !same {
		err = s.update(func(tx *bolt.Tx) error { return replaceGood(tx, want) })
	}
	if err != nil {
		return fmt.Errorf("save good commits: %w", err)
	}
	return nil
}

func replaceGood(tx *bolt.Tx, want map[string][]byte) error {
	err := eachGood(tx, func(devID string, env *bolt.Bucket) error {
		if want[devID] != nil {
			return nil
		}
		return env.Delete([]byte(keyGood))
	})
	if err != nil {
		return err
	}
	for devID, value := range want {
		env, err := makeEnvironment(tx, devID)
		if err != nil {
			return err
		}
		if err := env.Put([]byte(keyGood), value); err != nil {
			return err
		}
	}
	return nil
}

// eachGood calls fn for each environment that has a good commit.
func eachGood(tx *bolt.Tx, fn func(devID string, env *bolt.Bucket) error) error {
	return tx.Bucket([]byte(bucketEnvironments)).ForEachBucket(func(devID []byte) error {
		env := environment(tx, string(devID))
		if env.Get([]byte(keyGood)) == nil {
			return nil
		}
		return fn(string(devID), env)
	})
}
