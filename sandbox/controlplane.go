package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// A controlPlane holds Kubernetes' own three servers, ready to run.
//
// Their cobra commands can't be used: each sets up logging and signals for the
// whole process and exits it on an error. What the commands do around that is
// done here, in an order that matters: all options are made before any flags
// are parsed, since making them registers feature gates; then the gates are
// set, once; then logging, once.
type controlPlane struct {
	apiserver  *apiserveroptions.ServerRunOptions
	controller *kcmoptions.KubeControllerManagerOptions
	scheduler  *scheduleroptions.Options
}

func newControlPlane(d *dataDir, creds *credentials, listener net.Listener, log io.Writer) (*controlPlane, error) {
	c := &controlPlane{
		apiserver: apiserveroptions.NewServerRunOptions(),
		scheduler: scheduleroptions.NewOptions(),
	}
	var err error
	if c.controller, err = kcmoptions.NewKubeControllerManagerOptions(); err != nil {
		return nil, err
	}
	apiFlags := c.apiserver.Flags()
	kcmFlags := c.controller.Flags(kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases())
	c.controller.ParsedFlags = &kcmFlags // Config reads the flag sets again through it
	for _, component := range []struct {
		name  string
		flags *cliflag.NamedFlagSets
		args  []string
	}{
		{"kube-apiserver", &apiFlags, apiserverArgs(d, creds)},
		{"kube-controller-manager", &kcmFlags, controllerArgs(d, creds)},
		{"kube-scheduler", c.scheduler.Flags, schedulerArgs(creds)},
	} {
		flags := pflag.NewFlagSet(component.name, pflag.ContinueOnError)
		flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
		for _, set := range component.flags.FlagSets {
			flags.AddFlagSet(set)
		}
		if err := flags.Parse(component.args); err != nil {
			return nil, fmt.Errorf("%s: %w", component.name, err)
		}
	}
	// With a listener of our own, the port is taken from the moment it is known.
	c.apiserver.SecureServing.Listener = listener
	c.apiserver.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port

	if err := c.apiserver.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	streams := &logsapi.LoggingOptions{ErrorStream: log, InfoStream: log}
	if err := logsapi.ValidateAndApplyWithOptions(c.apiserver.Logs, streams, utilfeature.DefaultFeatureGate); err != nil {
		return nil, err
	}
	// The scheduler would apply the same settings again, with os.Stderr as the stream.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	return c, nil
}

func apiserverArgs(d *dataDir, creds *credentials) []string {
	return []string{
		"--etcd-servers=" + etcdAddress(d.sockets),
		"--bind-address=127.0.0.1",
		// Nothing reaches the API server through its service. So there is no endpoint to maintain,
		// and nothing to wait for at the end.
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + creds.server, "--tls-private-key-file=" + creds.server,
		"--client-ca-file=" + creds.ca,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + creds.serviceAccount,
		"--service-account-signing-key-file=" + creds.serviceAccount,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		// For its connection to the server of the nodes.
		"--kubelet-certificate-authority=" + creds.ca,
		"--kubelet-client-certificate=" + creds.nodeClient, "--kubelet-client-key=" + creds.nodeClient,
		"--kubelet-preferred-address-types=InternalIP",
	}
}

func controllerArgs(d *dataDir, creds *credentials) []string {
	return []string{
		"--kubeconfig=" + creds.controllerConfig,
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials=false",
		"--service-account-private-key-file=" + creds.serviceAccount,
		"--root-ca-file=" + creds.ca,
		// The file of the CA holds certificate and key. It signs the certificates of users.
		"--cluster-signing-cert-file=" + creds.authority, "--cluster-signing-key-file=" + creds.authority,
		"--cluster-signing-duration=" + lifetime.String(),
		"--kube-api-qps=500", "--kube-api-burst=1000",
		// It creates this directory. The default is under /usr/libexec.
		"--flex-volume-plugin-dir=" + d.file("run", "flex"),
	}
}

func schedulerArgs(creds *credentials) []string {
	return []string{
		"--kubeconfig=" + creds.schedulerConfig,
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
}

func (c *controlPlane) runAPIServer(ctx context.Context) error {
	completed, err := c.apiserver.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return apiserver.Run(ctx, completed)
}

func (c *controlPlane) runControllers(ctx context.Context) error {
	config, err := c.controller.Config(ctx, kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases())
	if err != nil {
		return err
	}
	return kcm.Run(ctx, config.Complete())
}

func (c *controlPlane) runScheduler(ctx context.Context) error {
	config, s, err := scheduler.Setup(ctx, c.scheduler)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, s)
}
