package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

const hashFormat = 1

type hashedPlan struct {
	Format  int            `json:"format"`
	DevID   string         `json:"dev_id"`
	Changes []hashedChange `json:"changes"`
}

type hashedChange struct {
	Connection string `json:"connection"`
	Action     Action `json:"action"`
	Field      string `json:"field"`
	Observed   string `json:"observed"`
	Desired    string `json:"desired"`
}

// Hash names what a plan would do, as "sha256:" and 64 hex digits: the dev_id
// and, for each change, connection, action, field, observed and desired token.
// Time, gates, reasons, user counts, probes and commits are not part of it, nor
// is anything that only one state directory knows.
func Hash(p Plan) string {
	h := hashedPlan{Format: hashFormat, DevID: p.DevID, Changes: []hashedChange{}}
	for _, c := range p.Changes {
		for _, f := range c.Fields {
			h.Changes = append(h.Changes, hashedChange{c.Connection, c.Action, f.Field, f.From.token(), f.To.token()})
		}
	}
	slices.SortFunc(h.Changes, func(a, b hashedChange) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Observed, b.Observed), cmp.Compare(a.Desired, b.Desired))
	})
	b, err := json.Marshal(h)
	if err != nil {
		return "" // plain strings always marshal
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// token is a field value as it enters the hash. The number of a key stays out:
// dropping an old key from a file changes numbers, not secrets.
func (v FieldValue) token() string {
	switch {
	case v.Sealed != "":
		return v.Sealed
	case v.Mask != "" || v.Compared != "":
		return "mask:" + v.Mask + ":" + string(v.Compared)
	case v.Default:
		return "default"
	case v.Value != nil:
		return "value:" + *v.Value
	case v.List != nil:
		return "list:" + listToken(v.List)
	default:
		return "none"
	}
}
