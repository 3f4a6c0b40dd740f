package providers

import "github.com/terra-reconcile/terra-reconcile/spec"

// Vocabulary returns the words that the configuration files may use, for
// [spec.Load].
func Vocabulary() spec.Vocabulary {
	var v spec.Vocabulary
	for _, p := range All() {
		v.Providers = append(v.Providers, p.Words())
	}
	return v
}

// Words returns the words of one provider. A step whose evidence is an option
// is not among the steps that a file may name, because nothing is written there.
func (p Provider) Words() spec.Words {
	w := spec.Words{
		Slug:     p.Slug,
		Native:   map[string]string{},
		Options:  map[string][]string{},
		Domain:   p.CustomDomain,
		Webhooks: p.Webhooks,
	}
	for _, f := range p.Fields {
		if f.Native != "" {
			w.Native[f.Native] = f.Name
		}
	}
	for _, o := range p.Options {
		w.Options[o.Name] = o.Values
	}
	for _, s := range p.Steps {
		if s.written() {
			w.Setup = append(w.Setup, s.Name)
		}
	}
	return w
}

// written reports whether a file has something to say about the step.
func (s Step) written() bool {
	for _, e := range s.Evidence {
		if !e.Option {
			return true
		}
	}
	return false
}
