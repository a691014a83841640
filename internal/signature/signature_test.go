package signature_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/signature"
)

func newKey(t testing.TB) *signature.Signer {
	t.Helper()
	s, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var stated = signature.Statement{
	Format: 1, ClusterUID: "cluster", Execution: "1-run", Incarnation: "lease", Ordinal: 2, Name: "pod_2_aaaaaaaa.star", SHA256: "0f",
}

// A signature is for one statement: a change of any of its fields, or of a bit of the signature, makes
// it worth nothing.
func TestSignatureIsForOneStatement(t *testing.T) {
	s := newKey(t)
	v, sig := signature.NewVerifier(s.Public()), s.Sign(stated)
	must(t, v.Verify(stated, s.ID(), sig))
	for what, change := range map[string]func(*signature.Statement){
		"format":      func(x *signature.Statement) { x.Format++ },
		"cluster":     func(x *signature.Statement) { x.ClusterUID = "" },
		"execution":   func(x *signature.Statement) { x.Execution = "2-run" },
		"incarnation": func(x *signature.Statement) { x.Incarnation = "another lease" },
		"ordinal":     func(x *signature.Statement) { x.Ordinal = 3 },
		"name":        func(x *signature.Statement) { x.Name = "pod_3_aaaaaaaa.star" },
		"content":     func(x *signature.Statement) { x.SHA256 = "0e" },
		// What ends one field must not begin the next.
		"a quote that moves": func(x *signature.Statement) {
			x.ClusterUID, x.Execution = `cluster","execution":"1-run`, ""
		},
	} {
		other := stated
		change(&other)
		if err := v.Verify(other, s.ID(), sig); err == nil || !strings.Contains(err.Error(), "not for this file") {
			t.Errorf("another %s: got %v, want it refused", what, err)
		}
	}
	for i := range sig {
		wrong := bytes.Clone(sig)
		wrong[i] ^= 1
		if v.Verify(stated, s.ID(), wrong) == nil {
			t.Errorf("byte %d of the signature makes no difference", i)
		}
	}
	for _, wrong := range [][]byte{sig[:63], append(bytes.Clone(sig), 0), make([]byte, 64)} {
		if v.Verify(stated, s.ID(), wrong) == nil {
			t.Errorf("the signature %x is taken", wrong)
		}
	}
}

// Keys are changed by knowing two for a while.
func TestRotation(t *testing.T) {
	older, newer := newKey(t), newKey(t)
	sig := older.Sign(stated)
	for _, test := range []struct {
		name  string
		keys  []ed25519.PublicKey
		keyID string
		sig   []byte
		want  string // "" for valid
	}{
		{"the old key alone", []ed25519.PublicKey{older.Public()}, older.ID(), sig, ""},
		{"both", []ed25519.PublicKey{newer.Public(), older.Public()}, older.ID(), sig, ""},
		{"the new key alone", []ed25519.PublicKey{newer.Public()}, older.ID(), sig, "want one of " + newer.ID()},
		{"no key", nil, older.ID(), sig, "no public key is known here"},
		{"not signed", []ed25519.PublicKey{older.Public()}, older.ID(), nil, "is not signed"},
		{"not signed, and no key", nil, "", nil, "is not signed"},
		{"under the other one's name", []ed25519.PublicKey{newer.Public(), older.Public()}, newer.ID(), sig, "not for this file"},
	} {
		err := signature.NewVerifier(test.keys...).Verify(stated, test.keyID, test.sig)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if got := signature.NewVerifier(older.Public(), newer.Public(), older.Public()).Keys(); len(got) != 2 || !slices.IsSorted(got) {
		t.Errorf("got the keys %q, want both, once", got)
	}
}

// Keys are read as they were written, several from a file or a directory, also from one that is
// mounted: its links and hidden versions.
func TestReadKeys(t *testing.T) {
	dir, a, b := t.TempDir(), newKey(t), newKey(t)
	private, publicA, err := a.PEM()
	must(t, err)
	_, publicB, err := b.PEM()
	must(t, err)
	file := func(name string, content []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, content, 0o600))
		must(t, os.Chmod(path, mode))
		return path
	}
	signer, err := signature.ReadSigner(file("key.pem", private, 0o600))
	if err != nil || signer.ID() != a.ID() || !bytes.Equal(signer.Private(), a.Private()) {
		t.Errorf("got %v, %v, want the key that was written", signer, err)
	}
	both := append(append([]byte("# of the team\n"), publicA...), publicB...)
	keys, err := signature.ReadPublic(file("both.pem", both, 0o644))
	if err != nil || len(keys) != 2 || !keys[0].Equal(a.Public()) || !keys[1].Equal(b.Public()) {
		t.Errorf("got %v, %v, want both keys", keys, err)
	}
	file("mount/..2026/a.pub", publicA, 0o644)
	must(t, os.Symlink("..2026", filepath.Join(dir, "mount/..data")))
	must(t, os.Symlink("..data/a.pub", filepath.Join(dir, "mount/a.pub")))
	if keys, err := signature.ReadPublic(filepath.Join(dir, "mount")); err != nil || len(keys) != 1 || !keys[0].Equal(a.Public()) {
		t.Errorf("a mounted ConfigMap: got %v, %v, want its key", keys, err)
	}
}

// What is no key is refused with a reason; so is what others can write to.
func TestReadNoKeys(t *testing.T) {
	dir, s := t.TempDir(), newKey(t)
	private, public, err := s.PEM()
	must(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(other)
	must(t, err)
	otherPublic, err := x509.MarshalPKIXPublicKey(other.Public())
	must(t, err)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, test := range map[string]struct {
		content []byte
		mode    os.FileMode
		signer  string // what is said of it as a private key
		public  string // and as a public one
	}{
		"empty":              {nil, 0o600, `got no "PRIVATE KEY" block`, `got no "PUBLIC KEY" block`},
		"the private one":    {private, 0o600, "", `got a "PRIVATE KEY" block`},
		"the public one":     {public, 0o600, `got no "PRIVATE KEY" block`, ""},
		"of another kind":    {block("PRIVATE KEY", der), 0o600, "want an Ed25519 key", `got a "PRIVATE KEY" block`},
		"public, of another": {block("PUBLIC KEY", otherPublic), 0o600, `got no "PRIVATE KEY" block`, "want an Ed25519 key"},
		"broken":             {block("PRIVATE KEY", []byte("x")), 0o600, "asn1", `got a "PRIVATE KEY" block`},
		"public and broken":  {block("PUBLIC KEY", []byte("x")), 0o600, `got no "PRIVATE KEY" block`, "asn1"},
		"too long":           {make([]byte, 1<<20+1), 0o600, "got more than", "got more than"},
		"writable":           {append(private, public...), 0o620, "others can write to it", "others can write to it"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		must(t, os.WriteFile(path, test.content, 0o600))
		must(t, os.Chmod(path, test.mode))
		check := func(as string, err error, want string) {
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, as a %s key: got %v, want %q", name, as, err, want)
			}
			var writable *signature.WritableError
			if errors.As(err, &writable) && len(writable.Hints()) != 1 {
				t.Errorf("%s: got the hints %q, want one", name, writable.Hints())
			}
		}
		_, err := signature.ReadSigner(path)
		check("private", err, test.signer)
		_, err = signature.ReadPublic(path)
		check("public", err, test.public)
	}
	for _, path := range []string{filepath.Join(dir, "nothing"), os.DevNull} {
		if _, err := signature.ReadPublic(path); err == nil || strings.Count(err.Error(), path) != 1 {
			t.Errorf("got %v, want an error with the path once", err)
		}
	}
	if _, err := signature.SignerOf(make([]byte, 3)); err == nil {
		t.Error("3 bytes are a key")
	}
}

// FuzzReadPublic: whatever a file has, it is read or refused, and a key that is read verifies nothing
// but what was signed with it.
func FuzzReadPublic(f *testing.F) {
	s := newKey(f)
	_, public, err := s.PEM()
	must(f, err)
	f.Add(public)
	f.Add(append(public, public...))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Add(bytes.Replace(public, []byte("M"), []byte("\x00"), 1))
	path, sig := filepath.Join(f.TempDir(), "key"), s.Sign(stated)
	f.Fuzz(func(t *testing.T, content []byte) {
		must(t, os.WriteFile(path, content, 0o600))
		keys, err := signature.ReadPublic(path)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("got %d keys and %v", len(keys), err)
		}
		known := slices.ContainsFunc(keys, func(key ed25519.PublicKey) bool { return key.Equal(s.Public()) })
		if valid := signature.NewVerifier(keys...).Verify(stated, s.ID(), sig) == nil; valid != known {
			t.Errorf("valid: %t, want %t", valid, known)
		}
	})
}
