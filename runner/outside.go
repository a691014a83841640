package runner

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/oauth2"

	"github.com/ebb-chaos/ebb/internal/aws"
	"github.com/ebb-chaos/ebb/internal/gcp"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
)

// outside holds the clients of what scripts reach. None of them sends anything before a script
// calls.
type outside struct {
	cluster func() (*kube.Client, error) // opens it at the first call
	opened  *atomic.Pointer[kube.Client] // nil until then
	gcp     *gcp.Client                  // nil: no such cloud
	aws     *aws.Client
	// recovery counts how long was waited for what nobody can undo.
	recovery *patience.Patience
}

var errNoCluster = errors.New("no cluster is configured")

func newOutside(o Options) outside {
	userAgent := "ebb/" + o.Version
	x := outside{opened: &atomic.Pointer[kube.Client]{}, recovery: patience.New(patience.Options{Server: "the recovery"})}
	x.cluster = sync.OnceValues(func() (*kube.Client, error) {
		if o.Cluster == nil {
			return nil, &ConfigurationError{errNoCluster}
		}
		config, err := o.Cluster()
		if err != nil {
			return nil, &ConfigurationError{err}
		}
		client, err := kube.New(config, kube.Options{Patience: o.Patience, TotalPatience: o.TotalPatience, Logger: o.Log, UserAgent: userAgent})
		if err != nil {
			return nil, &ConfigurationError{err}
		}
		x.opened.Store(client)
		return client, nil
	})
	if o.GCP != nil {
		x.gcp = gcp.Open(gcp.Options{Source: o.GCP, Patience: o.Patience, TotalPatience: o.TotalPatience, Logger: o.Log, UserAgent: userAgent})
	}
	if o.AWS != nil {
		x.aws = aws.Open(aws.Options{Load: o.AWS, Patience: o.Patience, TotalPatience: o.TotalPatience, Logger: o.Log, UserAgent: userAgent})
	}
	return x
}

// waited is how long the cluster, the clouds and recoveries were waited for.
func (x outside) waited() time.Duration {
	waited := x.recovery.Waited()
	if client := x.opened.Load(); client != nil {
		waited += client.Waited()
	}
	if x.gcp != nil {
		waited += x.gcp.Waited()
	}
	if x.aws != nil {
		waited += x.aws.Waited()
	}
	return waited
}

// load is how busy the API server is.
func (x outside) load() kube.Load {
	if client := x.opened.Load(); client != nil {
		return client.Load()
	}
	return kube.Load{}
}

// GCPFromEnvironment finds the operator's credentials as Google's own tools do. Use it as
// [Options.GCP].
func GCPFromEnvironment(ctx context.Context) (oauth2.TokenSource, error) {
	return gcp.DefaultSource(ctx)
}

// AWSFromEnvironment finds the operator's configuration as AWS's own tools do. Use it as
// [Options.AWS].
func AWSFromEnvironment(ctx context.Context) (awssdk.Config, error) { return aws.DefaultConfig(ctx) }

// ConfigurationError means that the cluster can't be reached as it is configured: there is no such
// file, context or certificate. Nothing was sent.
type ConfigurationError struct{ Err error }

func (e *ConfigurationError) Error() string { return e.Err.Error() }
func (e *ConfigurationError) Unwrap() error { return e.Err }
