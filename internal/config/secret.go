package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// maxSecret bounds what is read from one secret file, in bytes.
const maxSecret = 64 << 10

// Secret says where a secret is kept: in a file or in an environment variable.
// It holds no secret, so it may be printed. The zero value is kept nowhere.
type Secret struct {
	file   string
	env    string
	getenv func(string) string
	lines  bool
}

// FileSecret is a secret kept in the file at path, on one line.
func FileSecret(path string) Secret { return Secret{file: path} }

// EnvSecret is a secret kept in the environment variable name, on one line;
// getenv is how it is looked up, usually [os.Getenv].
func EnvSecret(name string, getenv func(string) string) Secret {
	return Secret{env: name, getenv: getenv}
}

// IsSet reports whether s names a place at all; the place may still be empty.
func (s Secret) IsSet() bool { return s.file != "" || s.env != "" }

// File is the path of the file that s is kept in, "" where it is kept elsewhere.
func (s Secret) File() string { return s.file }

// String names the place, never the secret: "file /run/secrets/terra" or
// "environment variable TERRA_ADMIN_TOKEN", and "nowhere" for the zero value.
func (s Secret) String() string {
	switch {
	case s.file != "":
		return "file " + s.file
	case s.env != "":
		return "environment variable " + s.env
	}
	return "nowhere"
}

// GoString is String: no verb prints anything else.
func (s Secret) GoString() string { return s.String() }

// Read reads the secret now, so that a replaced file counts from the next call
// on. White space around it is dropped. Errors name the place and never quote
// what is there: an unset, unreadable, empty or oversized (64 KiB) secret, and
// one that spreads over several lines where a single one is meant.
func (s Secret) Read() (string, error) {
	raw, err := s.raw()
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(raw)
	if text == "" {
		return "", fmt.Errorf("read secret: %s is empty or not set; put the secret there", s)
	}
	if !s.lines && strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return "", fmt.Errorf("read secret: %s holds more than one line, or a control or invisible character; keep only the secret there", s)
	}
	return text, nil
}

func (s Secret) raw() (string, error) {
	if s.file == "" {
		if s.env == "" {
			return "", errors.New("read secret: no file and no environment variable is named for it")
		}
		return s.getenv(s.env), nil
	}
	f, err := os.Open(s.file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("read secret: %s is larger than 64 KiB; is it the right file?", s)
	}
	return string(data), nil
}
