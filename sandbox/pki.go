package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// An authority is the sandbox's CA, and the directory for what it signs. Everything is made once
// and read at the next start, so that an old kubeconfig stays valid for a cluster that was kept.
//
// A certificate and its key share one file, NAME.pem: a kill between the writes of two files could
// leave a pair that does not match. The CA's certificate is also stored alone, in ca.crt, because
// Kubernetes publishes the bytes of that file.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// The sandbox is temporary: nobody renews its certificates.
const lifetime = 10 * 365 * 24 * time.Hour

func openAuthority(dir string) (*authority, error) {
	a := &authority{dir: dir}
	ca := certificate{subject: pkix.Name{CommonName: "ebb-sandbox-ca"}, ca: true}
	if _, err := a.pair("ca", ca); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(a.file("ca.pem"), a.file("ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the CA in %q: %w", dir, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the CA's key in %q is a %T and cannot sign", dir, pair.PrivateKey)
	}
	a.cert, a.key = pair.Leaf, signer
	return a, writeFile(a.file("ca.crt"), a.certPEM())
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) certPEM() []byte { return encodeCert(a.cert.Raw) }

// certificate says what a certificate contains.
type certificate struct {
	subject pkix.Name
	usage   x509.ExtKeyUsage
	ca      bool
}

// pair returns the file with the certificate and key of NAME. It makes the file if it is missing.
func (a *authority) pair(name string, c certificate) (string, error) {
	path := a.file(name + ".pem")
	old, err := readIfThere(path)
	if err != nil || old != nil {
		return path, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      c.subject,
		NotBefore:    time.Now().Add(-time.Hour), // the clock may be set back a little
		NotAfter:     time.Now().Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	parent, signer := a.cert, a.key
	switch {
	case c.ca:
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		parent, signer = template, key
	case c.usage == x509.ExtKeyUsageServerAuth:
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
		template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
		fallthrough
	default:
		template.ExtKeyUsage = []x509.ExtKeyUsage{c.usage}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return "", err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return "", err
	}
	return path, writeFile(path, append(encodeCert(der), keyPEM...))
}

// client returns the file of a client certificate.
func (a *authority) client(name, user string, groups ...string) (string, error) {
	return a.pair(name, certificate{
		subject: pkix.Name{CommonName: user, Organization: groups},
		usage:   x509.ExtKeyUsageClientAuth,
	})
}

// server returns the file of a certificate for a server on 127.0.0.1.
func (a *authority) server(name string) (string, error) {
	return a.pair(name, certificate{subject: pkix.Name{CommonName: name}, usage: x509.ExtKeyUsageServerAuth})
}

// serviceAccountKey returns the file of the key that signs service account tokens.
func (a *authority) serviceAccountKey() (string, error) {
	path := a.file("service-account.key")
	old, err := readIfThere(path)
	if err != nil || old != nil {
		return path, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return "", err
	}
	return path, writeFile(path, keyPEM)
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// splitPair separates the certificate and the key of a file that pair made: a kubeconfig needs them
// apart.
func splitPair(content []byte) (cert, key []byte) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		part := &cert
		if block.Type != "CERTIFICATE" {
			part = &key
		}
		*part = append(bytes.Clone(*part), pem.EncodeToMemory(block)...)
	}
	return cert, key
}

// kubeconfig returns a kubeconfig with a client certificate of its own.
func (a *authority) kubeconfig(name, user, server string, groups ...string) ([]byte, error) {
	path, err := a.client(name, user, groups...)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cert, key := splitPair(content)
	return encodeKubeconfig(user, "default", server, a.certPEM(), cert, key)
}
