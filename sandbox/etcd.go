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
	// Zero, the value that embed leaves, makes it warn of every request.
	cfg.WarningUnaryRequestDuration = time.Second

	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(sockets, longestSocket)}}
	// The listener for peers reads only the host.
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: filepath.Join(sockets, "peer.sock")}}
	// Advertised addresses must look like host and port. A cluster of one
	// dials none of them.
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2379"}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)

	// A single member has nobody to wait for, and a test cluster survives a
	// kill (the kernel still holds the writes) but need not survive a power cut.
	cfg.UnsafeNoFsync = true
	// The ticks stay at etcd's own 100 ms. With shorter ones a kept cluster sometimes
	// stands for election while it still applies what it kept, and panics.

	started := make(chan error, 1)
	go func() {
		server, err := embed.StartEtcd(cfg)
		if err == nil {
			e.server = server
			<-server.Server.ReadyNotify()
		}
		started <- err
	}()
	// No signal cuts this short: half an etcd can't be closed, and it takes
	// no time.
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

// run returns when etcd fails or ctx ends. It does not end etcd: the others
// need it to the last.
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
	case <-e.failure.done: // it may hold locks for ever
	default:
		e.server.Close()
	}
}

// An etcdFailure takes the place of the panic, or of the end of the process,
// by which etcd answers a broken file or a full disk. Somebody has to tidy up.
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
	select {} // etcd relies on not coming back
}
