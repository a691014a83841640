package main

import (
	"context"
	"io"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwokclient "sigs.k8s.io/kwok/pkg/utils/client"
)

// leaseHolder is the same at every start, so that a restarted sandbox takes over its nodes at once
// and does not wait for its old leases.
const leaseHolder = "ebb-sandbox"

// runKubelets simulates the kubelet of every node until ctx ends, also of nodes that others create.
// It announces port as that of the nodes' server, which simulates what happens inside of pods.
func runKubelets(ctx context.Context, kubeconfig string, port int, log io.Writer) error {
	ctx = kwoklog.NewContext(ctx, kwoklog.NewLogger(log, kwoklog.LevelWarn))
	lifecycles, err := stages()
	if err != nil {
		return err
	}
	clients, err := kwokclient.NewClientset("", kubeconfig)
	if err != nil {
		return err
	}
	config, err := clients.ToRESTConfig()
	if err != nil {
		return err
	}
	dynamic, err := clients.ToDynamicClient()
	if err != nil {
		return err
	}
	mapper, err := clients.ToRESTMapper()
	if err != nil {
		return err
	}
	raw, err := rest.RESTClientFor(config)
	if err != nil {
		return err
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	kwok, err := versioned.NewForConfig(config)
	if err != nil {
		return err
	}
	controller, err := controllers.NewController(controllers.Config{
		Clock:                         clock.RealClock{},
		DynamicClient:                 dynamic,
		ImpersonatingDynamicClient:    clients.ToImpersonatingDynamicClient(),
		RESTClient:                    raw,
		RESTMapper:                    mapper,
		TypedClient:                   typed,
		ImpersonatingTypedClient:      clients.ToImpersonatingTypedClient(),
		TypedKwokClient:               kwok,
		ManageAllNodes:                true,
		CIDR:                          "10.244.0.0/16",
		NodeIP:                        "127.0.0.1",
		NodePort:                      port,
		LocalStages:                   lifecycles,
		PodPlayStageParallelism:       4,
		NodePlayStageParallelism:      4,
		PodsOnNodeSyncParallelism:     1,
		EnablePodsOnNodeSyncListPager: true,
		NodeLeaseParallelism:          4,
		NodeLeaseDurationSeconds:      40,
		ID:                            leaseHolder,
	})
	if err != nil {
		return err
	}
	if err := controller.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
