package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// ownership judges, for one repository of a daemon, which environments are its own. A name and a
// dev_id are of the repository that named them first, also when that is down or names them no
// more. Only the runner's own configuration hands them over.
type ownership struct {
	config config.Config // as it is for the repository
	owners state.Owners
}

// ownerOf is who a repository is in the state.
func ownerOf(r config.Repo) state.Owner {
	return state.Owner{Repository: r.Name, Address: strings.TrimRight(r.URL+" "+strings.TrimSpace(r.Path+" "+r.Followed()), " ")}
}

// isOurs tells whether an owner is the repository, which may have had another name before.
func (o ownership) isOurs(owner state.Owner) bool {
	us := ownerOf(o.config.Repo)
	goesOn := slices.Contains(append(o.config.Names(), us.Repository), owner.Repository)
	return owner.Repository == us.Repository || owner.Address == us.Address && !goesOn
}

// given tells whether the runner's configuration says that an environment is the repository's;
// what a person chooses for one run does not.
func (o ownership) given(name string) bool {
	for _, r := range o.config.Repos {
		if r.Name == o.config.Repo.Name {
			return slices.Contains(r.Environments, name)
		}
	}
	return slices.Contains(o.config.Environments, name)
}

// foreign is why an environment of that name is another repository's; "" where it is not.
func (o ownership) foreign(name string) string {
	if o.given(name) {
		return ""
	}
	for _, other := range o.config.Repos {
		if other.Name != o.config.Repo.Name && slices.Contains(other.Environments, name) {
			return fmt.Sprintf("repos.%s.environments of daemon.yaml says that %s belongs to %s", other.Name, visible.Text(name), other.Name)
		}
	}
	if owner, known := o.owners.ByName[name]; known && !o.isOurs(owner) {
		return fmt.Sprintf("an environment %s belongs to %s already; give this one another name, or name it under %s of daemon.yaml to hand it over", visible.Text(name), ownerWords(owner), o.environmentsSetting())
	}
	return ""
}

// foreignDevID is why a dev_id is another repository's; "" where it is not. It goes with the
// environment that has it.
func (o ownership) foreignDevID(name, devID string) string {
	owner, known := o.owners.DevID(devID)
	if !known || o.isOurs(owner) || owner.Environment == name && o.given(name) {
		return ""
	}
	return fmt.Sprintf("its dev_id %s is that of %s, which belongs to %s", visible.Text(devID), visible.Text(owner.Environment), ownerWords(owner))
}

// has tells whether a revision in the state is one of the repository's. What nobody has, because
// it was left by a version that followed one alone, is that one's.
func (o ownership) has(r state.Revision) bool {
	_, known := o.owners.ByName[r.Environment]
	return (known || o.config.Repo.Name == "") && o.foreign(r.Environment) == "" && o.foreignDevID(r.Environment, r.DevID) == ""
}

func (o ownership) environmentsSetting() string {
	if o.config.Repo.Name == "" {
		return "environments"
	}
	return o.config.Repo.Setting() + ".environments"
}

func ownerWords(o state.Owner) string {
	return "the repository " + cmp.Or(o.Repository, "that was followed alone before")
}

// claimed is what of a commit is another repository's, and why.
type claimed struct {
	names  map[string]string // by name of the environment
	devIDs map[string]string // by it, too
}

// claim notes the environments of a commit as the repository's, but those of another one. A
// dev_id that the repository may not touch is not noted: naming it gives nobody a right to it.
func (s *commitSource) claim(found loaded) (c claimed, err error) {
	err = s.store.Claim(func(owners state.Owners) state.Owners {
		c = claimed{names: map[string]string{}, devIDs: map[string]string{}}
		o := ownership{s.config, owners}
		us := ownerOf(s.config.Repo)
		for _, env := range found.set.Environments {
			if !chosen(s.config.Environments, env.Name) {
				continue
			}
			if why := o.foreign(env.Name); why != "" {
				c.names[env.Name] = why
				continue
			}
			owners.ByName[env.Name] = us
			if env.Invalid || env.DevID == "" {
				continue
			}
			if why := o.foreignDevID(env.Name, env.DevID); why != "" {
				c.devIDs[env.Name] = why
				continue
			}
			if s.config.Allows(env.Account, env.DevID) {
				mine := us
				mine.Environment = env.Name
				owners.ByDevID[strings.ToLower(env.DevID)] = mine
			}
		}
		return owners
	})
	return c, err
}

// refuseForeign makes environments that another repository has invalid ones, for who reads the
// files of a commit beside the daemon.
func refuseForeign(store *state.Store, c config.Config, set *spec.Set, problems []spec.Problem) []spec.Problem {
	if c.Repo.Name == "" {
		return problems
	}
	owners, err := store.Owners()
	if err != nil { // whose they are is not known, so none is used
		return append(problems, spec.Problem{Severity: spec.Error, Message: err.Error()})
	}
	o := ownership{c, owners}
	for i := range set.Environments {
		env := &set.Environments[i]
		why, at := o.foreign(env.Name), env.Origin
		if why == "" && !env.Invalid {
			why, at = o.foreignDevID(env.Name, env.DevID), env.DevIDOrigin
		}
		if why == "" {
			continue
		}
		env.Invalid = true
		problems = append(problems, spec.Problem{Severity: spec.Error, Environment: env.Name, Origin: at, Message: why})
	}
	return problems
}
