package secrets

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"filippo.io/age/plugin"
)

func TestParseRecipients(t *testing.T) {
	private, one := keyPair(t, false)
	_, two := keyPair(t, false)
	hybridPrivate, hybrid := keyPair(t, true)
	_, ssh := sshKeyFile(t, ed25519Key(t), "")
	sshKey := strings.Join(strings.Fields(ssh)[:2], " ")
	card := plugin.EncodeRecipient("card", []byte("any"))
	tag := plugin.EncodeRecipient("tag", []byte("any"))
	for _, c := range []struct {
		name  string
		lines []string
		want  []string // of the result, or of the error
		index []int    // of the errors
	}{
		{"classic", []string{one, " " + two + "\n", ssh}, []string{one, two, sshKey}, nil},
		{"post-quantum", []string{hybrid}, []string{hybrid}, nil},
		{"repeated", []string{ssh, one, sshKey + " another comment", one}, []string{sshKey, one}, nil},
		{"allowed plugin with either", []string{hybrid, card}, []string{hybrid, card}, nil},
		{"none", nil, []string{"no recipients are named"}, []int{}},
		{"mixed", []string{one, hybrid}, []string{"recipient 2: it is post-quantum and recipient 1 is classic; age cannot mix"}, []int{1}},
		{"mixed with ssh", []string{hybrid, ssh}, []string{"recipient 2: it is classic and recipient 1 is post-quantum"}, []int{1}},
		{"all errors at once", []string{one[:40], one, "mallory", hybrid[:99], hybrid, ""}, []string{"recipient 1: the recipient (age1…) is cut", "recipient 3: not a recipient", "recipient 4: the post-quantum recipient", "recipient 5: it is post-quantum", "recipient 6: not a recipient"}, []int{0, 2, 3, 4, 5}},
		{"private", []string{private, hybridPrivate, "-----BEGIN OPENSSH PRIVATE KEY-----"}, []string{"recipient 1: this is a private identity", "recipient 2: this is a private identity", "recipient 3: this is a private identity"}, []int{0, 1, 2}},
		{"tagged", []string{tag}, []string{"tagged recipients"}, []int{0}},
		{"ssh damaged", []string{"ssh-ed25519 AAAA"}, []string{"the ssh public key is cut"}, []int{0}},
		{"ssh two lines", []string{ssh + ssh}, []string{"the ssh public key is cut"}, []int{0}},
		{"ssh of a kind age has not", []string{"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="}, []string{"ssh-ed25519 and ssh-rsa"}, []int{0}},
		{"plugin", []string{plugin.EncodeRecipient("tpm", []byte("any"))}, []string{`age plugin "tpm" is not allowed`}, []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := ParseRecipients(c.lines, []string{"card"})
			if c.index == nil {
				if got := r.Strings(); err != nil || !slices.Equal(got, c.want) {
					t.Fatalf("got %q, %v, want %q", got, err, c.want)
				}
				return
			}
			if err == nil || !r.IsZero() {
				t.Fatalf("got %q, want an error", r.Strings())
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if got := indexes(err); !slices.Equal(got, c.index) {
				t.Errorf("got errors at %v, want %v", got, c.index)
			}
			for _, line := range []string{private, hybridPrivate} {
				if strings.Contains(err.Error(), line[20:40]) {
					t.Errorf("the error shows a private identity")
				}
			}
		})
	}
}

func indexes(err error) []int {
	out := []int{}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return out
	}
	for _, one := range joined.Unwrap() {
		if at := (*RecipientError)(nil); errors.As(one, &at) {
			out = append(out, at.Index)
		}
	}
	return out
}

func TestAnyOfTheRecipientsOpens(t *testing.T) {
	first, a := keyPair(t, false)
	file, ssh := sshKeyFile(t, ed25519Key(t), "")
	s := seal(t, place(), recipientsOf(t, nil, a, ssh))
	for name, src := range map[string]Source{"age": {Inline: first}, "ssh": {Files: []string{file}}} {
		ids, err := LoadIdentities(src)
		if err != nil {
			t.Fatal(err)
		}
		if v, _, err := ids.Open(s, place(), false); err != nil || v.Reveal() != planted {
			t.Errorf("%s: got %v, want it open", name, err)
		}
	}
}

func TestFits(t *testing.T) {
	_, one := keyPair(t, false)
	_, two := keyPair(t, false)
	_, hybrid := keyPair(t, true)
	_, ssh := sshKeyFile(t, ed25519Key(t), "")
	_, rsa := sshKeyFile(t, rsaKey(t, 2048), "")
	r := recipientsOf(t, nil, one, ssh, rsa)
	s, pq := seal(t, place(), r), seal(t, place(), recipientsOf(t, nil, hybrid))
	all := r.Strings()
	card := plugin.EncodeRecipient("card", []byte("any"))
	for _, c := range []struct {
		name       string
		sealed     Sealed
		recipients []string
		want       bool
	}{
		{"as sealed", s, all, true},
		{"other order, other key of a kind", s, []string{all[2], two, all[1]}, true},
		{"one more", s, append([]string{two}, all...), false},
		{"one less", s, all[1:], false},
		{"another kind", s, []string{all[0], all[1], all[1]}, false},
		{"post-quantum", pq, []string{hybrid}, true},
		{"post-quantum for classic", pq, []string{one}, false},
		{"a plugin's", s, []string{card}, true},
		{"no file", Sealed{}, nil, false},
	} {
		if got := c.sealed.Fits(c.recipients); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
