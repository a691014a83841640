package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// TestPublicRoots looks, in a process that has no certificates of its system, whether a connection to a
// cluster whose kubeconfig names no authority would believe public ones.
func TestPublicRoots(t *testing.T) {
	const inside = "EBB_TEST_PUBLIC_ROOTS"
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPublicRoots$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1", "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	believed := func() (yes, no int) {
		for root := range bundle.Roots() {
			certificate, err := x509.ParseCertificate(root.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			// With the zero value of Roots, the system's are meant.
			_, err = certificate.Verify(x509.VerifyOptions{CurrentTime: certificate.NotBefore.Add(time.Hour), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			switch {
			case err == nil:
				yes++
			case root.Constraint == nil:
				no++
			}
		}
		return yes, no
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	write := func(cluster string) {
		text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'https://localhost'" + cluster + "}}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(path, ""); err != nil {
			t.Fatal(err)
		}
	}
	write(", certificate-authority-data: " + "LQ==") // an authority of its own: nothing is read for it
	if yes, no := believed(); yes > 0 || no == 0 {
		t.Errorf("got %d public authorities believed and %d not, want none yet", yes, no)
	}
	write("")
	if yes, no := believed(); no > 0 || yes < 100 {
		t.Errorf("got %d public authorities believed and %d not, want all", yes, no)
	}
}
