package signature

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// parseKeyring reads public keys, all or none: armored ones one after the other, or binary.
func parseKeyring(data []byte) (all openpgp.EntityList, err error) {
	if len(data) > 12 && string(data[8:12]) == "KBXf" {
		return nil, errors.New("it is a keybox of gpg itself; write the keys to a file with `gpg --export --armor NAME`")
	}
	rest := bytes.TrimSpace(data)
	if !bytes.HasPrefix(rest, []byte("-----BEGIN")) {
		return readKeys(data)
	}
	const end = "-----END PGP PUBLIC KEY BLOCK-----"
	for len(rest) > 0 {
		cut := bytes.Index(rest, []byte(end))
		if !bytes.HasPrefix(rest, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")) || cut < 0 {
			return nil, errors.New("it holds something else than public keys; write them with `gpg --export --armor NAME`")
		}
		block, err := armor.Decode(bytes.NewReader(rest[:cut+len(end)]))
		if err != nil {
			return nil, fmt.Errorf("its armor cannot be read: %w", err)
		}
		body, err := io.ReadAll(block.Body)
		if err != nil {
			return nil, fmt.Errorf("its armor cannot be read: %w", err)
		}
		found, err := readKeys(body)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, found...), bytes.TrimSpace(rest[cut+len(end):])
	}
	if len(all) == 0 {
		return nil, errEmpty
	}
	return all, nil
}

func readKeys(data []byte) (all openpgp.EntityList, err error) {
	packets := packet.NewReader(bytes.NewReader(data))
	for {
		e, err := openpgp.ReadEntity(packets)
		switch {
		case errors.Is(err, io.EOF) && len(all) == 0:
			return nil, errEmpty
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("key %d cannot be read: %w; write the keys with `gpg --export --armor NAME`", len(all)+1, err)
		case e.PrivateKey != nil:
			return nil, fmt.Errorf("key %d is a private one, which belongs to who signs; write the public one with `gpg --export --armor NAME`", len(all)+1)
		}
		all = append(all, e)
	}
}

func (t Trust) checkPGP(c Commit, armored []byte, now time.Time) (string, error) {
	sig, err := readSignature(armored)
	if err != nil {
		return "", err
	}
	if sig.IssuerKeyId == nil {
		return "", refuse("its OpenPGP signature does not say by which key it is")
	}
	key := fmt.Sprintf("OpenPGP key %016X", *sig.IssuerKeyId)
	if len(sig.IssuerFingerprint) > 0 {
		key = fmt.Sprintf("OpenPGP key %X", sig.IssuerFingerprint)
	}
	strong := sig.Hash == crypto.SHA256 || sig.Hash == crypto.SHA384 || sig.Hash == crypto.SHA512 || sig.Hash == crypto.SHA3_256 || sig.Hash == crypto.SHA3_512
	switch {
	case sig.SigType != packet.SigTypeBinary:
		return "", refuse("its signature by %s is not one of a document", key)
	case !strong:
		return "", refuse("its signature by %s is made with %s, which proves too little", key, sig.Hash)
	case !now.IsZero() && sig.CreationTime.After(now.Add(Skew)):
		return "", refuse("its signature by %s is made at %s, which has not come yet", key, sig.CreationTime.UTC().Format(time.RFC3339))
	}
	if !now.IsZero() && now.Before(sig.CreationTime) {
		now = sig.CreationTime
	}
	keys := t.keyring.KeysByIdUsage(*sig.IssuerKeyId, packet.KeyFlagSign)
	if len(keys) == 0 {
		return "", refuse("it is signed by %s, which the runner does not know, or which may not sign", key)
	}
	why := "is not of this commit"
	for _, k := range keys {
		h, err := sig.PrepareVerify()
		if err != nil {
			return "", refuse("its signature by %s cannot be judged", key)
		}
		_, _ = h.Write(c.Payload) // a hash takes everything
		if k.PublicKey.VerifySignature(h, sig) != nil {
			continue
		}
		key = fmt.Sprintf("OpenPGP key %X", k.PublicKey.Fingerprint) // what the signature claims need not be so
		if why = unusable(k, sig, now); why != "" {                  // of two copies of a key the one that knows more counts
			break
		}
	}
	if why != "" {
		return "", refuse("its signature by %s %s", key, why)
	}
	return key + " (" + t.source + ")", nil
}

// unusable says why a key does not count for a signature that it made, "" where it does.
func unusable(k openpgp.Key, sig *packet.Signature, now time.Time) string {
	self, identity := k.Entity.PrimarySelfSignature()
	if self == nil || k.SelfSignature == nil {
		return "is by a key that nothing binds to its owner"
	}
	if len(k.Revocations) > 0 || len(k.Entity.Revocations) > 0 || identity != nil && len(identity.Revocations) > 0 {
		return "is by a revoked key"
	}
	for _, notation := range sig.Notations {
		if notation.IsCritical {
			return "has a critical notation, which is not known here"
		}
	}
	for _, at := range []time.Time{sig.CreationTime, now} {
		switch {
		case at.IsZero():
		case k.Entity.PrimaryKey.KeyExpired(self, at), k.PublicKey.KeyExpired(k.SelfSignature, at):
			return "is by a key that has expired, or was not valid yet"
		}
	}
	if life := sig.SigLifetimeSecs; life != nil && *life > 0 && now.After(sig.CreationTime.Add(time.Duration(*life)*time.Second)) {
		return "has expired"
	}
	return tooWeak(k.PublicKey)
}

// readSignature wants exactly one.
func readSignature(armored []byte) (sig *packet.Signature, err error) {
	const end = "-----END PGP SIGNATURE-----"
	unread := refuse("its OpenPGP signature cannot be read")
	if cut := bytes.Index(armored, []byte(end)); cut < 0 || len(bytes.TrimSpace(armored[cut+len(end):])) > 0 {
		return nil, unread
	}
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return nil, unread
	}
	body, err := io.ReadAll(block.Body)
	if err != nil {
		return nil, unread
	}
	packets := packet.NewReader(bytes.NewReader(body))
	for {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) && sig != nil {
			return sig, nil
		}
		one, ok := p.(*packet.Signature)
		if err != nil || !ok {
			return nil, unread
		}
		if sig != nil {
			return nil, refuse("it has more than one signature")
		}
		sig = one
	}
}

// tooWeak says why a key proves too little, "" where it does not.
func tooWeak(key *packet.PublicKey) string {
	bits, err := key.BitLength()
	switch algorithm := key.PubKeyAlgo; {
	case err != nil:
		return "is by a key that cannot be judged"
	case algorithm == packet.PubKeyAlgoDSA:
		return "is by a DSA key, which proves too little"
	case (algorithm == packet.PubKeyAlgoRSA || algorithm == packet.PubKeyAlgoRSASignOnly) && bits < leastRSA:
		return fmt.Sprintf("is by an RSA key of fewer than %d bits, which proves too little", leastRSA)
	}
	return ""
}
