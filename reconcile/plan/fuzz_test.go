package plan

import "testing"

// FuzzMake plans whatever reads as a story: it never panics and keeps the law,
// and so does what it remembers.
func FuzzMake(f *testing.F) {
	for _, archive := range stories(f) {
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, err := readStory(text)
		if err != nil {
			return
		}
		p := planOf(in)
		applied := map[string]bool{}
		for _, c := range p.Changes {
			applied[c.ID] = c.Gate == Ready
		}
		for _, problem := range broken(in, p) {
			t.Error(problem)
		}
		for provider, m := range rememberOf(in, p, applied).Connections {
			_, live := in.Observed[provider]
			if m.Enabled && !applied[in.Environment.Name+"/"+provider+":enable"] && !(live && in.Memory.of(provider).Enabled) {
				t.Errorf("%s: called ours although we did not enable it", provider)
			}
		}
	})
}
