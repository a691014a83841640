package clusterstore

import (
	"crypto/ed25519"

	"github.com/ebb-chaos/ebb/internal/signature"
)

// ReadSigningKey reads the private key of a runner from a file: an Ed25519 key in PEM (PKCS #8).
func ReadSigningKey(path string) (ed25519.PrivateKey, error) {
	signer, err := signature.ReadSigner(path)
	if err != nil {
		return nil, err
	}
	return signer.Private(), nil
}

// ReadPublicKeys reads the public keys of runners from a file, or from all files of a directory:
// Ed25519 keys in PEM (PKIX). While a key is replaced, there are several.
func ReadPublicKeys(path string) ([]ed25519.PublicKey, error) { return signature.ReadPublic(path) }

// NewKey makes a private key.
func NewKey() (ed25519.PrivateKey, error) {
	signer, err := signature.NewKey()
	if err != nil {
		return nil, err
	}
	return signer.Private(), nil
}

// PEM returns a private key and its public key in PEM, and the ID that messages use for the pair.
func PEM(key ed25519.PrivateKey) (private, public []byte, id string, err error) {
	signer, err := signature.SignerOf(key)
	if err != nil {
		return nil, nil, "", err
	}
	private, public, err = signer.PEM()
	return private, public, signer.ID(), err
}
