package neighbour

import "fmt"

// Thing is what is judged, as messages speak of it.
type Thing struct {
	Name  string // such as "state folder", before its path
	Kind  string // what could be put in its place: "file" or "folder"
	Other string // what else can be done than to take a right away, as a clause; "" for nothing
	Keep  string // what to do where it lies among what others own

	readOnly func(path string) bool // for tests, where nothing can be mounted; nil asks the system
}

// OpenError says that another user of the machine could change a thing.
type OpenError struct{ err error }

func (e *OpenError) Error() string { return e.err.Error() }

// Unwrap gives what is wrong, with what to do about it.
func (e *OpenError) Unwrap() error { return e.err }

// file is a file that a process reads, by what messages call it.
func file(name string) Thing {
	return Thing{Name: name, Kind: "file", Keep: fmt.Sprintf("keep the %s in folders of this user or of root alone", name)}
}
