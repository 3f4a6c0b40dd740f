package signature

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// maxFile is how many bytes a file of the trust may have.
const maxFile = 4 << 20

// Files are where the trust is kept; at least one is named.
type Files struct {
	AllowedSigners string // as ssh-keygen(1) has them; "" for no ssh keys
	Keyring        string // OpenPGP public keys as `gpg --export` writes them, armored or not; "" for none
}

// Trust is who may sign. The zero value is nobody.
type Trust struct {
	signers []signer
	keyring openpgp.EntityList
	source  string // of keyring
	digest  [sha256.Size]byte
}

// Same reports whether two come from files of the same content.
func (t Trust) Same(other Trust) bool { return t.digest == other.digest }

// Load reads the files. What is wrong with one is an error that begins with its name and,
// of allowed signers, the line.
func Load(f Files) (Trust, error) {
	t := Trust{source: f.Keyring}
	sum := sha256.New()
	if f.AllowedSigners != "" {
		data, err := read(f.AllowedSigners)
		if err != nil {
			return Trust{}, err
		}
		if t.signers, err = parseSigners(f.AllowedSigners, data); err != nil {
			return Trust{}, err
		}
		_, _ = fmt.Fprintf(sum, "signers %d\n%s", len(data), data)
	}
	if f.Keyring != "" {
		data, err := read(f.Keyring)
		if err != nil {
			return Trust{}, err
		}
		if t.keyring, err = parseKeyring(data); err != nil {
			return Trust{}, fmt.Errorf("%s: %w", visible.Text(f.Keyring), err)
		}
		_, _ = fmt.Fprintf(sum, "keyring %d\n%s", len(data), data)
	}
	t.digest = [sha256.Size]byte(sum.Sum(nil))
	return t, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read who may sign: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read who may sign: %w", err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("read who may sign: %s is larger than 4 MiB; is it the right file?", visible.Text(path))
	}
	return data, nil
}

// Commit is what is judged.
type Commit struct {
	Payload   []byte    // what was signed
	Signature []byte    // armored; empty for none
	Committer string    // the mail address of the committer
	When      time.Time // when the committer says that it was made
}

// RefusedError says why a commit does not count as signed by somebody who may. The reason
// goes on after "commit abc: ".
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// Skew is how far the clock of who signs may be ahead.
const Skew = 5 * time.Minute

// Check wants a commit to be signed by somebody who may, and says by whom. The key has to be
// valid when it was signed, as the signer's own clock has it, and at the moment now as well;
// with a zero now, for a commit that was accepted before, only then. A revoked key, and one
// that was taken out of the files, never counts. The error is a [*RefusedError].
func (t Trust) Check(c Commit, now time.Time) (by string, err error) {
	armored := bytes.TrimSpace(c.Signature)
	switch {
	case len(armored) == 0:
		return "", refuse("it is not signed")
	case bytes.HasPrefix(armored, []byte("-----BEGIN SSH SIGNATURE-----")):
		return t.checkSSH(c, armored, now)
	case bytes.HasPrefix(armored, []byte("-----BEGIN PGP SIGNATURE-----")):
		return t.checkPGP(c, armored, now)
	case bytes.HasPrefix(armored, []byte("-----BEGIN SIGNED MESSAGE-----")):
		return "", refuse("its signature is an X.509 one, and only ssh and OpenPGP ones are known here")
	}
	return "", refuse("its signature is of a kind that is not known here")
}

// errEmpty says that a file names nobody.
var errEmpty = errors.New("it names nobody who may sign")
