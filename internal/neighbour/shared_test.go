//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package neighbour

import "testing"

// A group is shared when somebody else may be in it.
func TestSharedGroup(t *testing.T) {
	t.Parallel()
	const users = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\neve:x:1001:100::/home/eve:/bin/sh\n"
	const groups = "root:x:0:\nusers:x:100:\nada:x:1000:\nteam:x:2000:ada,eve\nours:x:2001:ada,root\n"
	for group, want := range map[string]bool{
		"0": false, "1000": false, "2001": false, // hers alone, or of root
		"100": true, "2000": true, // eve is in it
		"4711": true, // nobody knows who is
	} {
		if got := hasOthers(groups, users, group, "1000"); got != want {
			t.Errorf("group %s: got %t", group, got)
		}
	}
}
