// Package signature signs version files that are kept where others can write, and verifies them.
//
// Use [NewKey] once, [ReadSigner] where files are written and [ReadPublic] where they are
// replayed. Avoid keeping the private key where files are replayed. Promised: a signature is valid
// for one [Statement] only, and so for one file at one place of one execution of one cluster; a
// [Verifier] takes any of several public keys, so that keys can be rotated.
package signature

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Statement is what a signature says of a version file.
type Statement struct {
	Format     int    `json:"format"`
	ClusterUID string `json:"cluster_uid"` // of the cluster that the file is for; "" if it was not known
	Execution  string `json:"execution"`   // its ID
	// Incarnation is something of the execution that the store made and that can't be made again:
	// once it is gone, its files are worth nothing.
	Incarnation string `json:"incarnation"`
	Ordinal     int    `json:"ordinal"` // of the file in its execution
	Name        string `json:"name"`    // of the file, pending
	SHA256      string `json:"sha256"`  // of its content
}

// prefix keeps a signature from being one for something else.
const prefix = "ebb.dev/version-file\n"

func (s Statement) bytes() []byte {
	line, err := json.Marshal(s) // one form: the order of the fields is fixed, strings are quoted
	if err != nil {
		panic(err) // strings and numbers can always be written
	}
	return append([]byte(prefix), line...)
}

// KeyID names a public key in messages and beside signatures.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// Signer signs with a private key.
type Signer struct {
	key ed25519.PrivateKey
}

// Public returns the key that verifies.
func (s *Signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// ID is the public key's.
func (s *Signer) ID() string { return KeyID(s.Public()) }

// Sign returns the signature of a statement.
func (s *Signer) Sign(statement Statement) []byte { return ed25519.Sign(s.key, statement.bytes()) }

// SignerOf makes a signer of a key.
func SignerOf(key ed25519.PrivateKey) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("signing key: got %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	return &Signer{key}, nil
}

// Private returns the key that signs.
func (s *Signer) Private() ed25519.PrivateKey { return s.key }

// NewKey makes a new signer.
func NewKey() (*Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Signer{key}, nil
}

// Verifier verifies with public keys.
type Verifier struct {
	keys map[string]ed25519.PublicKey // by ID
}

// NewVerifier takes keys. Without any it verifies nothing.
func NewVerifier(keys ...ed25519.PublicKey) *Verifier {
	v := &Verifier{map[string]ed25519.PublicKey{}}
	for _, key := range keys {
		v.keys[KeyID(key)] = key
	}
	return v
}

// Keys returns the IDs of its keys.
func (v *Verifier) Keys() []string {
	var ids []string
	for id := range v.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Verify reports what is wrong with a signature; nil if nothing is. The error reads on after the
// name of what was signed.
func (v *Verifier) Verify(statement Statement, keyID string, sig []byte) error {
	key, known := v.keys[keyID]
	switch {
	case len(sig) == 0:
		return errors.New("is not signed")
	case len(v.keys) == 0:
		return fmt.Errorf("is signed with key %q, and no public key is known here", keyID)
	case !known:
		return fmt.Errorf("is signed with key %q, want one of %s", keyID, strings.Join(v.Keys(), ", "))
	case !ed25519.Verify(key, statement.bytes(), sig):
		return errors.New("has a signature that is not for this file at this place: it was changed, copied from elsewhere, or put back")
	}
	return nil
}

// The types of PEM blocks, as OpenSSL writes and reads them.
const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
)

// PEM returns both keys as files have them.
func (s *Signer) PEM() (private, public []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		return nil, nil, err
	}
	private = pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der})
	if der, err = x509.MarshalPKIXPublicKey(s.Public()); err != nil {
		return nil, nil, err
	}
	return private, pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der}), nil
}

// maxKeys bounds a file of keys.
const maxKeys = 1 << 20

// ReadSigner reads a private key from a file that only its owner can change.
func ReadSigner(path string) (*Signer, error) {
	data, err := readKeys(path, 0o022)
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", path, err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != privateBlock {
		return nil, fmt.Errorf("signing key %q: got no %q block of PEM", path, privateBlock)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", path, err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %q: got a %T, want an Ed25519 key", path, key)
	}
	return &Signer{ed}, nil
}

// ReadPublic reads public keys from a file, or from all files in a directory, such as a mounted
// ConfigMap. A file may have several.
func ReadPublic(path string) ([]ed25519.PublicKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("public keys %q: %w", path, reason(err))
	}
	files := []string{path}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("public keys %q: %w", path, reason(err))
		}
		files = nil
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), ".") { // a mounted ConfigMap keeps its versions in such
				files = append(files, filepath.Join(path, entry.Name()))
			}
		}
	}
	var keys []ed25519.PublicKey
	for _, file := range files {
		found, err := readPublic(file)
		if err != nil {
			return nil, fmt.Errorf("public keys %q: %w", file, err)
		}
		keys = append(keys, found...)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("public keys %q: got no %q block of PEM", path, publicBlock)
	}
	return keys, nil
}

func readPublic(file string) ([]ed25519.PublicKey, error) {
	data, err := readKeys(file, 0o022)
	if err != nil {
		return nil, err
	}
	var keys []ed25519.PublicKey
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return keys, nil
		}
		if block.Type != publicBlock {
			return nil, fmt.Errorf("got a %q block, want %q", block.Type, publicBlock)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		ed, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("got a %T, want an Ed25519 key", key)
		}
		keys = append(keys, ed)
	}
}

// readKeys reads a small regular file whose mode has none of the bits.
func readKeys(path string, bits fs.FileMode) (data []byte, err error) {
	info, err := os.Stat(path) // before the open, which waits at a pipe
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if err != nil {
		return nil, reason(err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if info, err = file.Stat(); err != nil {
		return nil, reason(err)
	}
	if info.Mode().Perm()&bits != 0 {
		return nil, &WritableError{Path: path, Mode: info.Mode().Perm()}
	}
	data, err = io.ReadAll(io.LimitReader(file, maxKeys+1))
	if err == nil && len(data) > maxKeys {
		err = fmt.Errorf("got more than %d bytes", maxKeys)
	}
	return data, err
}

// WritableError is a file of keys that others can write to.
type WritableError struct {
	Path string
	Mode fs.FileMode
}

func (e *WritableError) Error() string {
	return fmt.Sprintf("others can write to it: its mode is %04o", e.Mode)
}

// Hints is the command that helps.
func (e *WritableError) Hints() []string { return []string{"chmod go-w " + e.Path} }

// reason leaves out the path, which is in the message already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
