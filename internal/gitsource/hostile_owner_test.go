package gitsource

import "testing"

// TestHostileOwner: a repository of another user is refused as git does, whoever asks.
func TestHostileOwner(t *testing.T) {
	for _, c := range []struct {
		attack string
		open   func(dir string) error
	}{
		{attack: "a folder of another user, looked at", open: func(dir string) error {
			_, err := WorkTree(t.Context(), dir, ".", nil)
			return err
		}},
		{attack: "a repository of another user, followed", open: func(dir string) error {
			s, err := Open(Options{URL: dir})
			if err == nil {
				_, err = s.Fetch(t.Context())
			}
			return err
		}},
		{attack: "a repository of another user by its URL", open: func(dir string) error {
			s, err := Open(Options{URL: "file://" + dir + "/.git"})
			if err == nil {
				_, err = s.Fetch(t.Context())
			}
			return err
		}},
		{attack: "a repository of another user, committed to", open: func(dir string) error {
			_, err := PrepareCommit(t.Context(), dir, []string{"a"})
			return err
		}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			r := newRepository(t)
			r.commit("first", "a", "1")
			t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
			wantError[*OwnerError](t, c.open(r.dir), "belongs to another user")
		})
	}
}
