package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	// What ebb's own commands import, so that nothing here starts faster only because it has less.
	_ "github.com/ebb-chaos/ebb/runner"
	_ "github.com/ebb-chaos/ebb/scripts"
	_ "github.com/ebb-chaos/ebb/supervisor"
)

// Request is one request of a bare program.
type Request struct {
	Verb      string          `json:"verb"` // get, delete, patch, create, or absent: a get until it is gone
	Group     string          `json:"group,omitempty"`
	Version   string          `json:"version"`
	Resource  string          `json:"resource"`
	Namespace string          `json:"namespace,omitempty"`
	Name      string          `json:"name,omitempty"`
	UID       string          `json:"uid,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"`
}

// Work is what a bare program does: several pieces at a time, each one request after the other.
type Work struct {
	Kubeconfig string      `json:"kubeconfig"`
	Parallel   int         `json:"parallel"`
	Pieces     [][]Request `json:"pieces"`
}

// bareCommand is a bare program.
func bareCommand(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("bare: want nothing, requests, names, names-one, lstat, disk-flush, store-flush or store-list")
	}
	switch args[0] {
	case "nothing":
		return nil
	case "requests":
		return bareRequests(ctx, args[1])
	case "names":
		return bareNames(args[1], false, 2)
	case "names-one":
		return bareNames(args[1], false, 1)
	case "lstat":
		return bareNames(args[1], true, 2)
	case "disk-flush":
		return bareDiskFlush(args[1:])
	case "store-flush":
		return bareFlush(ctx, args[1])
	case "store-list":
		return bareStoreList(ctx, args[1])
	}
	return fmt.Errorf("bare: got %q", args[0])
}

func bareRequests(ctx context.Context, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var work Work
	if err := json.Unmarshal(content, &work); err != nil {
		return err
	}
	client, err := bareClient(work.Kubeconfig)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(work.Parallel)
	for _, piece := range work.Pieces {
		group.Go(func() error {
			for _, request := range piece {
				if err := request.send(ctx, client); err != nil {
					return fmt.Errorf("%s %s %s: %w", request.Verb, request.Resource, request.Name, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// bareClient is client-go's, without its limit on the rate.
func bareClient(kubeconfig string) (*dynamic.DynamicClient, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return dynamic.NewForConfig(config)
}

// send is the request, and nothing else. What is not there is an answer like others.
func (r Request) send(ctx context.Context, all dynamic.Interface) error {
	var client dynamic.ResourceInterface = all.Resource(schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Resource})
	if r.Namespace != "" {
		client = client.(dynamic.NamespaceableResourceInterface).Namespace(r.Namespace)
	}
	var err error
	switch r.Verb {
	case "get":
		_, err = client.Get(ctx, r.Name, metav1.GetOptions{})
	case "absent":
		for err == nil {
			_, err = client.Get(ctx, r.Name, metav1.GetOptions{})
		}
	case "list":
		_, err = client.List(ctx, metav1.ListOptions{Limit: 500})
	case "patch":
		_, err = client.Patch(ctx, r.Name, types.MergePatchType, r.Body, metav1.PatchOptions{})
	case "create":
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(r.Body); err != nil {
			return err
		}
		_, err = client.Create(ctx, object, metav1.CreateOptions{})
	case "delete":
		options := metav1.DeleteOptions{}
		if r.UID != "" {
			uid := types.UID(r.UID)
			options.Preconditions = &metav1.Preconditions{UID: &uid}
		}
		err = client.Delete(ctx, r.Name, options)
	default:
		return errors.New("no such verb")
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// bareNames reads every directory below one, with so many cores, and prints the names in order.
func bareNames(root string, lstat bool, cores int) error {
	entries, err := readNames(root)
	if err != nil {
		return err
	}
	slices.Sort(entries)
	lines := make([][]string, len(entries))
	errs := make([]error, cores)
	var work sync.WaitGroup
	for part := range cores {
		work.Go(func() {
			for i := part; i < len(entries); i += cores {
				names, err := readNames(filepath.Join(root, entries[i]))
				if errors.Is(err, syscall.ENOTDIR) {
					continue // the journal
				}
				if err != nil {
					errs[part] = err
					return
				}
				lines[i] = names
				for _, name := range names {
					if lstat {
						if _, err := os.Lstat(root + "/" + entries[i] + "/" + name); err != nil {
							errs[part] = err
							return
						}
					}
				}
			}
		})
	}
	work.Wait()
	out := bufio.NewWriter(os.Stdout)
	for i, names := range lines {
		fmt.Fprintln(out, entries[i])
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintln(out, "  "+strings.TrimSpace(name))
		}
	}
	return errors.Join(append(errs, out.Flush())...)
}

func readNames(path string) ([]string, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	return names, errors.Join(err, dir.Close())
}
