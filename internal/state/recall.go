package state

import "sync"

// recall keeps what records were decoded to, beside the bytes they were decoded
// from: a record that is read in every run is decoded only after it was written.
// What it gives is shared, so it may not be changed.
type recall[T any] struct {
	mu    sync.Mutex
	found map[string]recalled[T]
}

type recalled[T any] struct {
	from  string
	value T
}

func (r *recall[T]) decode(name string, from []byte, decode func() (T, error)) (T, error) {
	r.mu.Lock()
	known, ok := r.found[name]
	r.mu.Unlock()
	if ok && known.from == string(from) {
		return known.value, nil
	}
	value, err := decode()
	if err != nil {
		return value, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found == nil {
		r.found = map[string]recalled[T]{}
	}
	r.found[name] = recalled[T]{from: string(from), value: value}
	return value, nil
}
