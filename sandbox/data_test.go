package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketDirectory(t *testing.T) {
	short := t.TempDir()
	t.Setenv("TMPDIR", short)
	for name, preferred := range map[string]string{
		"long":        "/" + strings.Repeat("a", 100),
		"with spaces": "/a b",
		"with commas": "/a,b",
		"relative":    "a",
	} {
		dir, err := socketDir(preferred)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if dir == preferred || len(filepath.Join(dir, longestSocket)) > 103 {
			t.Errorf("%s: got %q, want a short directory elsewhere", name, dir)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v, want mode 0700", name, info, err)
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}
	if dir, err := socketDir("/run/a-b_c.d"); err != nil || dir != "/run/a-b_c.d" {
		t.Errorf("got %q, %v, want a plain directory as it is", dir, err)
	}
}

func TestDataDirectoryIsHeldUntilClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	first, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := openDataDir(path); err == nil || !strings.Contains(err.Error(), "is in use by process ") {
		t.Fatalf("second holder: %v, %v, want an error that names the first", d, err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}

func TestAuthorityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	const server = "https://127.0.0.1:1"
	read := func() (config, ca []byte) {
		t.Helper()
		a, err := openAuthority(dir)
		if err != nil {
			t.Fatal(err)
		}
		if config, err = a.kubeconfig("admin", "boss", server, "system:masters"); err != nil {
			t.Fatal(err)
		}
		if ca, err = os.ReadFile(filepath.Join(dir, "ca.crt")); err != nil {
			t.Fatal(err)
		}
		return config, ca
	}
	config, ca := read()
	if again, _ := read(); !bytes.Equal(config, again) {
		t.Error("the kubeconfig changed")
	}
	// Kubernetes publishes this file in every namespace.
	if bytes.Contains(ca, []byte("PRIVATE KEY")) {
		t.Error("ca.crt holds a key")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("ca.crt holds no certificate")
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "admin.pem"), filepath.Join(dir, "admin.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if got := pair.Leaf.Subject.CommonName + " " + strings.Join(pair.Leaf.Subject.Organization, ","); got != "boss system:masters" {
		t.Errorf("subject is %q", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want 0600", e.Name(), info.Mode(), err)
		}
	}
}

// A kubeconfig that somebody else put in our place is not ours to remove.
func TestOnlyOurKubeconfigIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	ours := []byte(kubeconfigMark + "ours")
	if err := writeKubeconfig(path, ours); err != nil {
		t.Fatal(err)
	}
	if err := removeKubeconfig(path, []byte(kubeconfigMark+"another sandbox's")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("removed a file that was not ours: %v", err)
	}
	for range 2 {
		if err := removeKubeconfig(path, ours); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("our file is still there: %v", err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeKubeconfig(path, ours); err == nil {
		t.Error("replaced a foreign file")
	}
}
