package main

import (
	"crypto/x509"
	"sync"
	_ "time/tzdata" // an image that contains only this program has no time zones

	"golang.org/x/crypto/x509roots/fallback/bundle"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// publicRoots makes Go trust the certificates of public authorities if the system has none, as in
// an image that contains only this program. It is called just before a connection may need them:
// reading them takes longer than many a command.
var publicRoots = sync.OnceFunc(func() { x509.SetFallbackRoots(bundledRoots()) })

func bundledRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil: // a system whose certificates can't be read gets none
		case root.Constraint == nil:
			pool.AddCert(certificate)
		default:
			pool.AddCertWithConstraint(certificate, root.Constraint)
		}
	}
	return pool
}

// loadConfig reads a kubeconfig that will be used for a connection.
func loadConfig(path, context string) (*rest.Config, error) {
	c, err := kube.LoadConfig(path, context)
	if err == nil && len(c.CAData) == 0 && c.CAFile == "" {
		publicRoots()
	}
	return c, err
}

// online wraps a function that connects to a cloud.
func online[A, B any](f func(A) (B, error)) func(A) (B, error) {
	return func(a A) (B, error) {
		publicRoots()
		return f(a)
	}
}
