package runner

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// clusterUID returns the UID of the cluster. If the user may not read it, it returns "" and logs a
// warning. It returns an error if the API server does not answer.
func (r *Runner) clusterUID(ctx context.Context, client *kube.Client) (string, error) {
	uid, err := client.ClusterUID(ctx)
	if err == nil {
		return uid, nil
	}
	if !apierrors.IsForbidden(err) {
		return "", err
	}
	r.unknownCluster.Do(func() {
		r.options.Log.Warn(fmt.Sprintf("which cluster this is can't be checked, server %s: %v", client.Server(), err))
	})
	return "", nil
}

// clusterFor opens the cluster for a file. At the file's first call it checks that it is the right
// cluster. Several threads may call it.
func (r *Runner) clusterFor(ctx context.Context, file *versionFile) (*kube.Client, error) {
	client, err := r.outside.cluster()
	if err != nil || r.options.Force {
		return client, err
	}
	file.mu.Lock()
	defer file.mu.Unlock()
	if !file.rightCluster {
		if err := r.checkCluster(ctx, client, file); err != nil {
			return nil, err
		}
		file.rightCluster = true
	}
	return client, nil
}

// checkCluster returns an error if the cluster is known to be another one.
func (r *Runner) checkCluster(ctx context.Context, client *kube.Client, file *versionFile) error {
	want := file.ClusterUID
	if want == "" {
		of := ""
		if objects := file.objects(); len(objects) > 0 {
			of = " of " + objects[0]
		}
		file.log.Warn(fmt.Sprintf("the version file%s names no cluster, using %s", of, client.Server()))
		return nil
	}
	got, err := r.clusterUID(ctx, client)
	if err != nil || got == "" || got == want {
		return err
	}
	return &RefusedError{
		Kind:    KindWrongCluster,
		Err:     fmt.Errorf("this is another cluster: %s has the UID %s, the version file is for %s", client.Server(), got, want),
		Details: map[string]string{"server": client.Server(), "cluster_uid": got, "want_cluster_uid": want},
	}
}
