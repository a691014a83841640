package main

import (
	"crypto/x509"
	"sync"
	_ "time/tzdata" // an image with nothing but this program has no time zones either

	"golang.org/x/crypto/x509roots/fallback/bundle"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// publicRoots has the certificates of public authorities believed where the system has none, as in
// an image with nothing but this program. It is called before a connection is made that may need
// them: to read them takes longer than many a command.
var publicRoots = sync.OnceFunc(func() { x509.SetFallbackRoots(bundledRoots()) })

func bundledRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil: // a system that can't read one can do without it
		case root.Constraint == nil:
			pool.AddCert(certificate)
		default:
			pool.AddCertWithConstraint(certificate, root.Constraint)
		}
	}
	return pool
}

// loadConfig reads a kubeconfig, for a connection to its cluster.
func loadConfig(path, context string) (*rest.Config, error) {
	c, err := kube.LoadConfig(path, context)
	if err == nil && len(c.CAData) == 0 && c.CAFile == "" {
		publicRoots()
	}
	return c, err
}

// online is a function that makes connections to a cloud.
func online[A, B any](f func(A) (B, error)) func(A) (B, error) {
	return func(a A) (B, error) {
		publicRoots()
		return f(a)
	}
}
