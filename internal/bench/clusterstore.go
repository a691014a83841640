package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
	"github.com/ebb-chaos/ebb/versions/mirror"
)

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// storeWork is what a process does with a store in the cluster, or what a bare one does without.
type storeWork struct {
	Kubeconfig string `json:"kubeconfig"`
	Namespace  string `json:"namespace"`
	Directory  string `json:"directory"` // of the copy on the disk
	Size       int    `json:"size"`
}

// flushed is as long as the version file of a network policy.
var flushed = []byte(strings.Repeat("# a line of a version file\n", 100))

// flushRow writes version files to the disk and the cluster, as a change waits for it. Both processes
// are this program: ebb's own start is in other rows.
func flushRow(size int) row {
	workspace := fmt.Sprintf("flush-%d", size)
	return row{
		Name: fmt.Sprintf("store/flush/%d", size), What: fmt.Sprintf("flush %d version files to disk and cluster", size), Size: size, Reach: 1.15, repeats: 5,
		BareIs: "one durable write and one create of a Secret each", cleanup: removeWorkspace(workspace),
		prepare: func(ctx context.Context, b *bench) (step, step, error) {
			namespace, err := b.storePlace(ctx, workspace)
			n := 0
			in := func(command ...string) step {
				return func(context.Context) (process, error) {
					n++
					return b.storeProcess(filepath.Join(workspace, fmt.Sprint(n)), command, storeWork{Namespace: namespace, Size: size})
				}
			}
			return in("store-flush"), in("bare", "store-flush"), err
		},
	}
}

// storeListRow lists a store in the cluster: the command, beside the bare metadata.
func storeListRow(size int) row {
	workspace := fmt.Sprintf("store-list-%d", size)
	return row{
		Name: fmt.Sprintf("store/list/%d", size), What: fmt.Sprintf("list %d pending executions of a store in the cluster", size), Size: size, Reach: 1.2, repeats: 5,
		BareIs: "client-go: the metadata of the Secrets as protobuf, in pages", cleanup: removeWorkspace(workspace),
		prepare: func(ctx context.Context, b *bench) (step, step, error) {
			namespace, err := b.storePlace(ctx, workspace)
			if err == nil {
				err = b.fillStore(ctx, namespace, size)
			}
			if err != nil {
				return nil, nil, err
			}
			bare, err := b.storeProcess(filepath.Join(workspace, "bare"), []string{"bare", "store-list"}, storeWork{Namespace: namespace, Size: size})
			list := process{Path: b.ebb, Dir: b.dir, Args: []string{
				"list-rollback", "--store", "cluster", "--pending", "--kubeconfig", b.kubeconfig, "--store-namespace", namespace,
			}}
			return same(list), same(bare), err
		},
	}
}

// storePlace makes a namespace for a store, and a directory for its copy on the disk.
func (b *bench) storePlace(ctx context.Context, workspace string) (namespace string, err error) {
	if namespace, err = b.namespace(ctx); err == nil {
		err = os.Mkdir(filepath.Join(b.dir, workspace), 0o700)
	}
	return namespace, err
}

// storeProcess writes what a process of this program is to do.
func (b *bench) storeProcess(name string, command []string, work storeWork) (process, error) {
	work.Kubeconfig, work.Directory = b.kubeconfig, filepath.Join(b.dir, name)
	content, err := json.Marshal(work)
	file := work.Directory + ".json"
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	return process{Path: b.self, Args: append(command, file)}, err
}

// fillStore makes one pending version file each of so many executions, of which a list can tell.
func (b *bench) fillStore(ctx context.Context, namespace string, n int) error {
	content := map[string]any{"file": base64.StdEncoding.EncodeToString(flushed)}
	return each(ctx, n, func(ctx context.Context, i int) error {
		stamp := int64(firstStamp + 1000*i)
		id := fmt.Sprintf("%d-%s", stamp, runOf(i))
		_, err := b.client.Resource(secrets).Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "ebb.dev/version-file", "immutable": true, "data": content,
			"metadata": map[string]any{
				"name": "ebb-" + id + "-1",
				"labels": map[string]any{
					kube.RunLabel: runOf(i), "ebb.dev/scenario-type": "hog_scenarios", "ebb.dev/execution": id, "ebb.dev/state": "pending",
					"ebb.dev/store": "version-file",
				},
				"annotations": map[string]any{
					"ebb.dev/execution-id": id, "ebb.dev/file": fmt.Sprintf("hog_scenarios_%d_%s.star", stamp, letters(i)), "ebb.dev/size": fmt.Sprint(len(flushed)),
				},
			},
		}}, metav1.CreateOptions{})
		return err
	})
}

func readStoreWork(file string) (w storeWork, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return w, err
	}
	return w, json.Unmarshal(content, &w)
}

// storeFlush is the part of a change that waits for its version file.
func storeFlush(ctx context.Context, file string) (err error) {
	w, err := readStoreWork(file)
	if err != nil {
		return err
	}
	config, err := kube.LoadConfig(w.Kubeconfig, "")
	if err != nil {
		return err
	}
	key, err := clusterstore.NewKey()
	if err != nil {
		return err
	}
	cluster, err := clusterstore.New(clusterstore.Options{Cluster: config, Namespace: w.Namespace, SigningKey: key})
	if err != nil {
		return err
	}
	disk, err := versions.NewDir(w.Directory)
	if err != nil {
		return err
	}
	e, err := mirror.New(disk, cluster, mirror.Options{Required: true}).Begin(ctx, runOf(0))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	for range w.Size {
		if _, err := e.Flush(ctx, "hog_scenarios", flushed); err != nil {
			return err
		}
	}
	return nil
}

// bareFlush writes the same content durably, and creates a Secret of it.
func bareFlush(ctx context.Context, file string) (err error) {
	w, err := readStoreWork(file)
	if err != nil {
		return err
	}
	client, err := bareClient(w.Kubeconfig)
	if err != nil {
		return err
	}
	dir, err := durable.Open(durable.OS{}, w.Directory, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	for i := range w.Size {
		packed.Reset()
		zip.Reset(&packed)
		if _, err := zip.Write(flushed); err != nil {
			return err
		}
		if err := zip.Close(); err != nil {
			return err
		}
		if err := dir.WriteFile(fmt.Sprintf("file-%d", i), flushed, 0o700); err != nil {
			return err
		}
		if _, err := client.Resource(secrets).Namespace(w.Namespace).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "ebb.dev/bench", "immutable": true,
			"metadata": map[string]any{"name": fmt.Sprintf("%s-%d", filepath.Base(w.Directory), i)},
			"data":     map[string]any{"file": base64.StdEncoding.EncodeToString(packed.Bytes())},
		}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// bareStoreList lists the metadata of a store's Secrets as protobuf, in pages, as client-go's own
// client of metadata does.
func bareStoreList(ctx context.Context, file string) error {
	w, err := readStoreWork(file)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", w.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.GroupVersion, config.NegotiatedSerializer = &schema.GroupVersion{Version: "v1"}, metadataCodecs
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return err
	}
	found := 0
	for next := ""; ; {
		answer, err := client.Get().AbsPath("/api/v1/namespaces", w.Namespace, "secrets").
			SetHeader("Accept", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").
			Param("limit", "500").Param("labelSelector", "ebb.dev/store=version-file").Param("continue", next).DoRaw(ctx)
		if err != nil {
			return err
		}
		var envelope runtime.Unknown
		if err := envelope.Unmarshal(bytes.TrimPrefix(answer, []byte("k8s\x00"))); err != nil {
			return err
		}
		var page metav1.PartialObjectMetadataList
		if err := page.Unmarshal(envelope.Raw); err != nil {
			return err
		}
		found += len(page.Items)
		if next = page.Continue; next == "" {
			break
		}
	}
	if found != w.Size {
		return fmt.Errorf("got %d Secrets, want %d", found, w.Size)
	}
	return nil
}

var metadataCodecs = serializer.NewCodecFactory(runtime.NewScheme())
