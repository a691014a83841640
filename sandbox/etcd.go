package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// etcdAddress is the value of --etcd-servers for the sockets in dir.
func etcdAddress(dir string) string { return "unix://" + filepath.Join(dir, longestSocket) }

// An etcd is a cluster of one, reached through a socket.
type etcd struct {
	server  *embed.Etcd
	failure *etcdFailure
}

// startEtcd returns once etcd serves.
func startEtcd(data, sockets string, log io.Writer) (*etcd, error) {
	e := &etcd{failure: &etcdFailure{done: make(chan struct{})}}
	cfg := embed.NewConfig()
	cfg.Dir = data
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(log), zap.WarnLevel)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(core, zap.WithPanicHook(e.failure), zap.WithFatalHook(e.failure)))
	// With embed's default, zero, etcd warns about every request.
	cfg.WarningUnaryRequestDuration = time.Second

	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(sockets, longestSocket)}}
	// For peers, only the host of the URL is used.
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: filepath.Join(sockets, "peer.sock")}}
	// Advertised addresses must have a host and a port. A cluster with one member never connects to
	// them.
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2379"}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)

	// A single member need not wait for others. A test cluster survives a kill, because the kernel
	// still has the writes. It need not survive a power failure.
	cfg.UnsafeNoFsync = true
	// Keep etcd's own tick of 100 ms. With a shorter one, a restarted cluster sometimes starts an
	// election while it still applies its old entries, and panics.

	started := make(chan error, 1)
	go func() {
		server, err := embed.StartEtcd(cfg)
		if err == nil {
			e.server = server
			<-server.Server.ReadyNotify()
		}
		started <- err
	}()
	// A signal does not interrupt this: a half-started etcd can't be closed, and it starts quickly.
	select {
	case err := <-started:
		if err != nil {
			return nil, fmt.Errorf("start etcd: %w", err)
		}
		return e, nil
	case <-e.failure.done:
		return nil, fmt.Errorf("start etcd: %w", e.failure.err)
	case <-time.After(pollLimit):
		return nil, fmt.Errorf("etcd did not start within %v", pollLimit)
	}
}

// run returns when etcd fails or ctx ends. It does not stop etcd: the other components need it
// until the end.
func (e *etcd) run(ctx context.Context) error {
	select {
	case <-e.failure.done:
		return e.failure.err
	case err := <-e.server.Err():
		return err
	case <-ctx.Done():
		return nil
	}
}

func (e *etcd) close() {
	select {
	case <-e.failure.done: // it may hold locks forever
	default:
		e.server.Close()
	}
}

// An etcdFailure replaces the panic or os.Exit with which etcd reacts to a broken file or a full
// disk: we have to clean up first.
type etcdFailure struct {
	once sync.Once
	err  error
	done chan struct{}
}

func (f *etcdFailure) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	f.once.Do(func() {
		f.err = errors.New(entry.Message)
		for _, field := range fields {
			if cause, ok := field.Interface.(error); ok {
				f.err = fmt.Errorf("%w: %w", f.err, cause)
			}
		}
		close(f.done)
	})
	select {} // etcd relies on this never returning
}
