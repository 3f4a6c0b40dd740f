package plan

import (
	"maps"
	"time"
)

// Memory is what was last agreed between the repository and one dev_id.
type Memory struct {
	Known       bool                  `json:"known"`     // a run has finished here before
	Suspended   bool                  `json:"suspended"` // the environment was suspended or paused in the last run
	Connections map[string]Remembered `json:"-"`         // by provider
}

// of gives what is remembered of a connection; the zero value when that is nothing.
func (m Memory) of(provider string) Remembered {
	if !m.Known {
		return Remembered{}
	}
	return m.Connections[provider]
}

// Remembered is one connection as it was last agreed.
type Remembered struct {
	Noted      bool              `json:"noted,omitempty"` // known of, but not adopted: nothing is agreed, only what holds it is kept
	Enabled    bool              `json:"enabled"`         // we enabled it; false: found and adopted
	Protected  bool              `json:"protected"`       // stays protected when its file goes
	Paused     bool              `json:"paused"`          // we paused it
	Suspended  bool              `json:"suspended"`       // it was suspended or paused, and not all that this held has been settled since
	Fields     map[string]string `json:"fields"`          // field -> token of the desired value last agreed; secrets as keyed digests
	Held       map[string]Cause  `json:"held,omitempty"`  // field -> adopt, or drift of the keys, while a change of it was held for that
	VerifiedAt time.Time         `json:"verified_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
}

// Clone gives a copy that shares nothing with m.
func (m Remembered) Clone() Remembered {
	m.Fields, m.Held = maps.Clone(m.Fields), maps.Clone(m.Held)
	return m
}

// known gives a connection that was adopted or that we enabled.
func (m Memory) known(provider string) (Remembered, bool) {
	r, ok := m.Connections[provider]
	return r, ok && m.Known && !r.Noted
}

// liveBefore counts the connections that were there when they were last looked at.
func (m Memory) liveBefore() int {
	live := 0
	for provider := range m.Connections {
		if r, ok := m.known(provider); ok && r.Fields[FieldState] != string(Disabled) {
			live++
		}
	}
	return live
}
