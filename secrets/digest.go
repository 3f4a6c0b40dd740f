package secrets

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"filippo.io/age"
)

// Digester makes keyed digests (HMAC-SHA256, "hmac-sha256:" and hex) that are
// safe to store: without the key nobody can try out guesses. Digests of values,
// masks and bytes never coincide. The zero Digester has no key and gives empty
// digests, which [DigestsAgree] never calls equal.
type Digester struct {
	mac func(domain, label string, data []byte) string
}

// NewDigester makes a Digester with key.
func NewDigester(key [32]byte) Digester {
	return Digester{mac: func(domain, label string, data []byte) string {
		h := hmac.New(sha256.New, key[:])
		for _, part := range [][]byte{[]byte("terra-reconcile/digest/1"), []byte(domain), []byte(label), data} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			h.Write(part)
		}
		return "hmac-sha256:" + hex.EncodeToString(h.Sum(nil))
	}}
}

// Digest returns the digest of an opened secret; empty for the zero Value.
func (d Digester) Digest(v Value) string {
	if v.IsZero() {
		return ""
	}
	return d.sum("value", "", []byte(v.Reveal()))
}

// MaskDigest returns the digest of a mask as Terra printed it; empty for "".
func (d Digester) MaskDigest(mask string) string {
	if mask == "" {
		return ""
	}
	return d.sum("mask", "", []byte(mask))
}

// Bytes returns the digest of b, for instance a request body. Equal bytes under
// different labels have different digests.
func (d Digester) Bytes(label string, b []byte) string { return d.sum("bytes", label, b) }

func (d Digester) sum(domain, label string, data []byte) string {
	if d.mac == nil {
		return ""
	}
	return d.mac(domain, label, data)
}

// DigestsAgree reports whether two digests are equal and not empty.
func DigestsAgree(a, b string) bool { return a != "" && hmac.Equal([]byte(a), []byte(b)) }

const sealedKeyHeader = "terra-reconcile/digest-key/1\n"

var errNotDigestKey = errors.New("open digest key: the file holds something else")

// GenerateKey makes a fresh random key for [NewDigester].
func GenerateKey() [32]byte {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: it ends the process instead
	return key
}

// SealKey seals a digest key for r as a binary age file. An empty r is an
// error.
func SealKey(key [32]byte, r []age.Recipient) ([]byte, error) {
	raw, err := encrypt(append([]byte(sealedKeyHeader), key[:]...), r)
	if err != nil {
		return nil, fmt.Errorf("seal digest key: %w", err)
	}
	return raw, nil
}

// OpenKey opens what [SealKey] sealed. Errors are those of [Identities.Open].
func (i *Identities) OpenKey(sealed []byte) ([32]byte, error) {
	var key [32]byte
	if len(sealed) > maxArmored {
		return key, errNotDigestKey
	}
	contents, err := i.decrypt(sealed)
	if err != nil {
		return key, fmt.Errorf("open digest key: %w", err)
	}
	rest, found := bytes.CutPrefix(contents, []byte(sealedKeyHeader))
	if !found || len(rest) != len(key) {
		return key, errNotDigestKey
	}
	copy(key[:], rest)
	return key, nil
}
