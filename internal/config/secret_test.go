package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	s := FileSecret(path)
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte("  "+want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); got != want || err != nil {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a removed file gave %v, want its path", err)
	}
}

func TestSecretRefusals(t *testing.T) {
	for name, content := range map[string]string{
		"empty": " \n", "two lines": "hunter2\nhunter3\n", "control": "hunter2\x1b[0m", "huge": strings.Repeat("hunter2", 10000),
		"byte order mark": "\ufeffhunter2\n", "no-break space": "hunter2\u00a0x", "UTF-16": "h\x00u\x00n\x00t\x00", "not UTF-8": "hunter2\xff",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := FileSecret(path).Read()
			if err == nil || got != "" || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter") {
				t.Errorf("gave %d bytes, %v; want nothing and an error that names the file only", len(got), err)
			}
		})
	}
	if _, err := (Secret{}).Read(); err == nil {
		t.Error("reading a secret kept nowhere succeeded")
	}
}

func TestSecretPrintsItsPlace(t *testing.T) {
	getenv := env(map[string]string{"TOKEN": "hunter2"})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb, EnvSecret("TOKEN", getenv))
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "environment variable TOKEN") {
			t.Errorf("%s printed %s", verb, text)
		}
	}
	if got := (Secret{}).String(); got != "nowhere" || (Secret{}).IsSet() {
		t.Errorf("the zero secret is %q", got)
	}
}

func TestWhoMayTouchADevID(t *testing.T) {
	for _, test := range []struct {
		ids, others      []string
		allowed, assigns bool
	}{
		{nil, nil, false, false},
		{[]string{"dev-2"}, nil, false, false},
		{[]string{"dev-1"}, nil, true, true},
		{[]string{"dev-1"}, []string{"*"}, true, true},
		{[]string{"dev-1"}, []string{"dev-1"}, true, false},
		{[]string{"*"}, nil, true, false},
		{[]string{"*"}, []string{"*"}, true, false},
		{[]string{"*"}, []string{"dev-2"}, true, false},
		{[]string{"*"}, []string{"dev-2", "dev-1"}, false, false},
		{[]string{"*"}, []string{"Dev-1"}, false, false},
		{[]string{"dev-*"}, nil, false, false},
	} {
		c := Config{Accounts: map[string]Account{"one": {DevIDs: test.ids}, "other": {DevIDs: test.others}}}
		if got := c.Allows("one", "dev-1"); got != test.allowed {
			t.Errorf("%v beside %v allows dev-1: %v, want %v", test.ids, test.others, got, test.allowed)
		}
		if got := c.Assigns("one", "dev-1"); got != test.assigns {
			t.Errorf("%v beside %v assigns dev-1: %v, want %v", test.ids, test.others, got, test.assigns)
		}
	}
	if (Config{}).Allows("none", "dev-1") {
		t.Error("an account that is not there may touch something")
	}
}
