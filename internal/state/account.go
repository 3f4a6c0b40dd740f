package state

import (
	"errors"
	"slices"
	"time"
)

// tokenKept is how long what Terra said of a token is kept after it was last asked.
const tokenKept = 90 * 24 * time.Hour

// Token is what Terra last said about an admin token. All times are UTC.
type Token struct {
	API           string     `json:"api"`         // address of the API
	Fingerprint   string     `json:"fingerprint"` // which token: it stands for it and does not give it away
	Customer      string     `json:"customer"`    // whose it is
	At            time.Time  `json:"at"`          // when Terra was asked
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
	GrantAnchorAt *time.Time `json:"grant_anchor_at,omitempty"`
	Scopes        string     `json:"scopes"` // what it may do, in words apart; "" where it is not known
}

// Token gives what Terra last said about a token at an API address.
func (s *Store) Token(api, fingerprint string) (t Token, known bool, err error) {
	err = s.read("recall token", func(r Reader) (err error) {
		t, known, err = kindToken.get(r, Environment{}, api+" "+fingerprint)
		return err
	})
	return t, known, err
}

// SaveToken replaces what Terra said about a token, and forgets tokens about which it
// was not asked for long.
func (s *Store) SaveToken(t Token) error {
	t.At = utc(t.At)
	return s.write("save token", func(w Writer) error {
		known, err := kindToken.list(w, Environment{}, nil)
		for key, old := range known {
			if err == nil && t.At.Sub(old.At) > tokenKept {
				err = kindToken.drop(w, Environment{}, key)
			}
		}
		if err != nil {
			return err
		}
		return kindToken.put(w, Environment{}, t.API+" "+t.Fingerprint, t)
	})
}

// Locate gives the environment that a dev_id was, at an API address, for the run that
// applied there last. known is false where none did.
func (s *Store) Locate(api, devID string) (env Environment, known bool, err error) {
	env = Environment{API: api, DevID: devID}
	err = s.read("recall account of "+devID, func(r Reader) (err error) {
		env.Customer, known, err = kindCustomer.get(r, Environment{}, api+" "+devID)
		return err
	})
	return env, known, err
}

// SaveLocation lets Locate find an environment from now on, and remembers by which account
// of the runner it was reached.
func (s *Store) SaveLocation(env Environment, account string) error {
	return s.writeFor(env, "save account", func(w Writer) error {
		return errors.Join(kindCustomer.put(w, Environment{}, env.API+" "+env.DevID, env.Customer), kindAccount.put(w, Environment{}, env.DevID, account))
	})
}

// AccountOf gives the runner's name of the account by which a dev_id was reached last, ""
// where no run has applied to it.
func (s *Store) AccountOf(devID string) (account string, err error) {
	err = s.read("recall account of "+devID, func(r Reader) error {
		account, _, err = kindAccount.get(r, Environment{}, devID)
		return err
	})
	return account, err
}

// EnvironmentsOf gives all environments of a dev_id, whatever their API address and
// customer, of which anything is remembered.
func (s *Store) EnvironmentsOf(devID string) (all []Environment, err error) {
	err = s.read("recall accounts of "+devID, func(r Reader) error {
		all, err = r.Environments()
		all = slices.DeleteFunc(slices.Clone(all), func(env Environment) bool {
			if err != nil || env.DevID != devID {
				return true
			}
			var known bool
			_, known, err = kindMemory.get(r, env, "")
			return !known
		})
		return err
	})
	return all, err
}

// MoveEnvironment gives what is remembered of one environment to another, of which
// nothing is.
func (s *Store) MoveEnvironment(from, to Environment) error {
	return s.writeFor(to, "move memory", func(w Writer) error {
		records, err := w.List(from, "")
		for _, record := range records {
			address := record.Address
			address.Environment = to
			err = errors.Join(err, w.Put(address, slices.Clone(record.Value)), w.Delete(record.Address))
		}
		return err
	})
}
