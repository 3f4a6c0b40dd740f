package state

import (
	"maps"
	"strings"
)

// Owner is the repository that an environment belongs to, of those that one daemon follows.
type Owner struct {
	Repository  string `json:"repository"`            // its name in the runner's configuration; "" for an only one
	Address     string `json:"address"`               // where it was, by which one is known that got another name
	Environment string `json:"environment,omitempty"` // of a dev_id: the one that has it
}

// Owners say what belongs to which repository. What they do not name belongs to none yet.
type Owners struct {
	ByName  map[string]Owner // by name of the environment
	ByDevID map[string]Owner // by dev_id, in small letters
}

// DevID is who has a dev_id, in whatever letters.
func (o Owners) DevID(devID string) (owner Owner, known bool) {
	owner, known = o.ByDevID[strings.ToLower(devID)]
	return owner, known
}

// Owners gives all there are.
func (s *Store) Owners() (o Owners, err error) {
	err = s.read("recall repositories of environments", func(r Reader) error {
		o, err = ownersIn(r)
		return err
	})
	return o, err
}

func ownersIn(r Reader) (o Owners, err error) {
	if o.ByName, err = kindNameOwner.list(r, Environment{}, nil); err == nil {
		o.ByDevID, err = kindDevIDOwner.list(r, Environment{}, nil)
	}
	return o, err
}

// Claim lets decide look at who has what, and notes what it gives beside that, in one step: of
// two who claim the same at once the second sees the first. decide may be called more than once.
func (s *Store) Claim(decide func(Owners) Owners) error {
	return s.write("note repositories of environments", func(w Writer) error {
		known, err := ownersIn(w)
		if err != nil {
			return err
		}
		next := decide(Owners{ByName: maps.Clone(known.ByName), ByDevID: maps.Clone(known.ByDevID)})
		for name, owner := range next.ByName {
			if known.ByName[name] != owner {
				if err := kindNameOwner.put(w, Environment{}, name, owner); err != nil {
					return err
				}
			}
		}
		for devID, owner := range next.ByDevID {
			if devID = strings.ToLower(devID); known.ByDevID[devID] != owner {
				if err := kindDevIDOwner.put(w, Environment{}, devID, owner); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
