package state

import (
	"fmt"
	"time"
)

const keyToken = "token" // when the token of the environment ends, as it was last read

// Token is when an admin token ends, as Terra last said. All times are UTC.
type Token struct {
	Fingerprint   string     `json:"fingerprint"` // which token: it stands for it and does not give it away
	At            time.Time  `json:"at"`          // when Terra was asked
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
	GrantAnchorAt *time.Time `json:"grant_anchor_at,omitempty"`
}

type tokenRecord struct {
	V int `json:"v"`
	Token
}

func (r tokenRecord) version() int { return r.V }

// Token gives what Terra last said about the token of an environment; zero when
// nothing was saved.
func (s *Store) Token(devID string) (Token, error) {
	record, err := readOne[tokenRecord](s, devID, keyToken)
	if err != nil {
		return Token{}, fmt.Errorf("recall token of %s: %w", devID, err)
	}
	return record.Token, nil
}

// SaveToken replaces what Terra said about the token of an environment.
func (s *Store) SaveToken(devID string, t Token) error {
	t.At = utc(t.At)
	if err := saveOne(s, devID, keyToken, tokenRecord{V: recordVersion, Token: t}); err != nil {
		return fmt.Errorf("save token of %s: %w", devID, err)
	}
	return nil
}
