package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
	"github.com/ebb-chaos/ebb/versions/mirror"
)

// storeTimes is set by tests.
var storeTimes clusterstore.Times

// bothPatience is how long to wait for the copy in the cluster if there is also one on the disk.
// Tests change it.
var bothPatience = 15 * time.Second

// storeOptions say where the version files are. They replace the configuration.
type storeOptions struct {
	Store           string
	StoreKubeconfig string
	StoreNamespace  string
	SigningKey      string
	PublicKeys      string
}

func (o *storeOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "store", Destination: &o.Store, Usage: "where the version files are: `STORE` is directory, cluster or both"},
		&cli.StringFlag{Name: "store-kubeconfig", Destination: &o.StoreKubeconfig, Usage: "kubeconfig `FILE` of the cluster that has the store"},
		&cli.StringFlag{Name: "store-namespace", Destination: &o.StoreNamespace, Usage: "`NAMESPACE` of the store"},
		&cli.StringFlag{Name: "signing-key", Destination: &o.SigningKey, Usage: "`FILE` with the private key that signs version files"},
		&cli.StringFlag{Name: "public-keys", Destination: &o.PublicKeys, Usage: "`FILE` or directory of the public keys of runners"},
	}
}

func (o *storeOptions) check() error {
	if o.Store == "" {
		return nil
	}
	return oneOf("store", o.Store, config.StoreDirectory, config.StoreCluster, config.StoreBoth)
}

// storeSettings are the parameters with which this process and its workers open a store.
type storeSettings struct {
	Kind       string
	Directory  string
	Trust      versions.Trust
	Kubeconfig string // of the cluster that holds the store
	Context    string
	Target     string // kubeconfig of the cluster that scenarios change
	TargetsOwn bool   // the store is in the cluster that scenarios change
	Namespace  string
	Required   bool
	Signing    ed25519.PrivateKey // nil in commands that only replay
	Public     []ed25519.PublicKey
	Force      bool
	Patience   time.Duration
	Times      clusterstore.Times
	Observed   map[string]clusterstore.Observation
}

// place is a store, and the settings to open it again.
type place struct {
	versions.Store
	settings storeSettings
}

// storeSettings combines the flags and the configuration. runs says that the command writes version
// files.
func (s *setup) storeSettings(o *commonOptions, runs bool) (storeSettings, error) {
	c := s.Store
	w := storeSettings{
		Kind: cmp.Or(o.Store, c.Kind, config.StoreDirectory), Directory: s.VersionsDirectory, Trust: o.trust(s.DirectoryTrust),
		Namespace: cmp.Or(o.StoreNamespace, c.Namespace), Required: c.Required, Times: storeTimes,
	}
	if w.Kind == config.StoreDirectory {
		return w, nil
	}
	w.Target, w.Context = s.target(o), o.Context
	w.Kubeconfig = cmp.Or(o.StoreKubeconfig, c.Kubeconfig)
	if w.TargetsOwn = w.Kubeconfig == "" || w.Kubeconfig == w.Target; w.TargetsOwn {
		w.Kubeconfig = w.Target
	}
	if w.Kind == config.StoreBoth {
		w.Patience = bothPatience
	}
	return w, s.keys(&w, o, runs)
}

// at adds to an error where the path of a key was configured, unless a flag gave it.
func at(flag, place string, err error) error {
	if err == nil || flag != "" || place == "" {
		return err
	}
	return fmt.Errorf("%s: %w", place, err)
}

// keys reads the keys. A command that only replays uses a private key only for its public part.
func (s *setup) keys(w *storeSettings, o *commonOptions, runs bool) error {
	signing, public := cmp.Or(o.SigningKey, s.Store.SigningKey), cmp.Or(o.PublicKeys, s.Store.PublicKeys)
	if public != "" {
		keys, err := clusterstore.ReadPublicKeys(public)
		if err != nil {
			return at(o.PublicKeys, s.Store.PublicKeysAt, err)
		}
		w.Public = keys
	}
	switch {
	case signing != "" && (runs || public == ""):
		key, err := clusterstore.ReadSigningKey(signing)
		if err != nil {
			return at(o.SigningKey, s.Store.SigningKeyAt, err)
		}
		w.Public = append(w.Public, key.Public().(ed25519.PublicKey))
		if runs {
			w.Signing = key
		}
	case runs:
		// A temporary key: the workers of this process can replay what one of them wrote, and
		// nobody else can.
		key, err := clusterstore.NewKey()
		if err != nil {
			return err
		}
		w.Signing = key
		s.log.Warn("there is no signing key: what this run leaves in the cluster can be replayed only with --force; make one with: " + s.bare("keys", "new"))
	}
	return nil
}

// target returns the kubeconfig of the cluster that scenarios change.
func (s *setup) target(o *commonOptions) string {
	switch {
	case o.Kubeconfig != "":
		return o.Kubeconfig
	case s.Kubeconfig != "" && missing(s.Kubeconfig) && !missing(config.ServiceAccount):
		return "" // the same rule as in settings
	}
	return s.Kubeconfig
}

// open opens the store. It sends no request.
func (w storeSettings) open(log *slog.Logger) (place, error) {
	p := place{settings: w}
	var disk *versions.Dir
	var err error
	if w.Kind != config.StoreCluster {
		if disk, err = versions.NewDir(w.Directory, versions.WithTrust(w.Trust)); err != nil {
			return p, err
		}
		p.Store = disk
		if w.Kind != config.StoreBoth {
			return p, nil
		}
	}
	cluster, err := w.openCluster(log)
	if err != nil {
		return p, err
	}
	if disk == nil {
		p.Store = cluster
	} else {
		p.Store = mirror.New(disk, cluster, mirror.Options{Required: w.Required, Signs: cluster.Signs, Log: log})
	}
	return p, nil
}

func (w storeSettings) openCluster(log *slog.Logger) (*clusterstore.Store, error) {
	inContext := ""
	if w.TargetsOwn {
		inContext = w.Context
	}
	path, err := config.KubeconfigPath(w.Kubeconfig)
	if err != nil {
		return nil, err
	}
	cluster, err := loadConfig(path, inContext)
	if err != nil {
		return nil, err
	}
	options := clusterstore.Options{
		Cluster: cluster, Namespace: w.Namespace, SigningKey: w.Signing, PublicKeys: w.Public, Force: w.Force,
		Patience: w.Patience, Log: log, UserAgent: "ebb/" + version, Times: w.Times, Observed: w.Observed,
	}
	if !w.TargetsOwn {
		options.Target = w.targetUID
	}
	return clusterstore.New(options)
}

// targetUID returns the UID of the cluster that scenarios change, which is not the cluster of the
// store.
func (w storeSettings) targetUID(ctx context.Context) (string, error) {
	path, err := config.KubeconfigPath(w.Target)
	if err != nil {
		return "", err
	}
	target, err := loadConfig(path, w.Context)
	if err != nil {
		return "", err
	}
	client, err := kube.New(target, kube.Options{UserAgent: "ebb/" + version})
	if err != nil {
		return "", err
	}
	defer client.Close()
	return client.ClusterUID(ctx)
}

// locate finds the version file that an operand names: by its path or, in a cluster, by its
// location there. A file that does not exist is a usage error.
func (s *setup) locate(ctx context.Context, o *commonOptions, operand string) (place, versions.File, error) {
	if s.store.settings.Kind == config.StoreCluster || strings.HasPrefix(operand, clusterstore.Scheme) {
		return s.locateInCluster(ctx, o, operand)
	}
	trust := o.trust(s.DirectoryTrust)
	store, file, err := versions.Locate(operand, versions.WithTrust(trust))
	if err != nil {
		if !runner.IsRefused(err) {
			err = &usageError{err: err, hints: []string{s.hintList()}}
		}
		return place{}, file, err
	}
	if store.Location() == s.store.Location() {
		return s.store, file, nil // the store may have a second copy
	}
	return place{store, storeSettings{Kind: config.StoreDirectory, Directory: store.Location(), Trust: trust}}, file, nil
}

func (s *setup) locateInCluster(ctx context.Context, o *commonOptions, operand string) (place, versions.File, error) {
	inCluster := *o
	inCluster.Store = config.StoreCluster
	settings, err := s.storeSettings(&inCluster, false)
	if err != nil {
		return place{}, versions.File{}, &usageError{err: err}
	}
	settings.Force = s.store.settings.Force
	store, err := settings.openCluster(s.log)
	if err != nil {
		return place{}, versions.File{}, err
	}
	file, err := store.Locate(ctx, operand)
	if err != nil && runner.KindOf(err) == runner.KindFailed {
		err = &usageError{err: fmt.Errorf("%q in %s: %w", operand, store.Location(), err), hints: []string{s.hintList()}}
	}
	return place{store, settings}, file, err
}
