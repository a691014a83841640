package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// allRows is the table, in the order in which it is measured and printed.
func allRows() []row {
	// Two rows that follow each other have the same files.
	rows := []row{startRow(), listRow(10, 1, 1.2, 7), kept(listRow(100_000, 1, 0.6, 3)), oneCoreRow(100_000, 2), kept(listRow(100_000, 10, 1.2, 3)), jsonRow(100_000, 10)}
	rows = append(rows,
		undoRow(undo{template: "hog", what: "replay %d hog pods, one a file, one at a time", size: 200, parallel: 1, idle: true, reach: 1.15, requests: podRequests}),
		undoRow(undo{template: "policy", what: "replay %d network policies, one at a time", size: 200, parallel: 1, reach: 1.15, requests: deleteRequests}),
		undoRow(undo{template: "hijack", what: "replay %d hijackings, one at a time", size: 100, parallel: 1, reach: 1.15, idle: true, requests: hijackRequests}),
		undoRow(undo{template: "policy", what: "%d files whose objects are gone, one at a time", size: 200, parallel: 1, gone: true, reach: 1.15, requests: goneRequests}),
		undoRow(undo{template: "policy", what: "replay %d network policies, 16 at a time (the default)", size: 200, reach: 1.3, requests: deleteRequests}),
	)
	for _, size := range []int{10, 200, 1000, 10_000, 20_000} {
		repeats := 3
		if size > 1000 {
			repeats = 1
		}
		gone := undoRow(undo{
			template: "policy", what: "%d files whose objects are gone, 16 at a time", size: size, gone: true, reach: 1.3, requests: goneRequests, repeats: repeats,
		})
		gone.long = size > 10_000
		rows = append(rows, gone)
	}
	rows = append(rows,
		undoRow(undo{template: "hog", what: "%d pods that run and take their time to go, one at a time", size: 40, parallel: 1, reach: 1.1, requests: waitRequests, repeats: 2}),
		undoRow(undo{template: "hog", what: "%d pods that run and take their time to go, 16 at a time", size: 40, reach: 1.1, requests: waitRequests}),
		wideRow(200), wideRow(1000),
	)
	for _, size := range []int{0, 1000, 10_000} {
		rows = append(rows, outageRow(size))
	}
	return append(rows, flushRow(200), diskFlushRow(200), storeListRow(5000), journalRow(1_000_000))
}

// same is a step that needs nothing done before.
func same(p process) step {
	return func(context.Context) (process, error) { return p, nil }
}

func startRow() row {
	return row{
		Name: "version", What: "`ebb version`", BareIs: "an empty program with the same imports", Reach: 1.2, repeats: 9,
		prepare: func(_ context.Context, b *bench) (step, step, error) {
			return same(process{Path: b.ebb, Args: []string{"version"}}), same(process{Path: b.self, Args: []string{"bare", "nothing"}}), nil
		},
	}
}

// workspace makes a directory with a configuration, and returns it and the path of its store.
func (b *bench) workspace(name string) (dir, store string, err error) {
	dir = filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err
	}
	store = filepath.Join(dir, "versions")
	return dir, store, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(configText(b.kubeconfig, store)), 0o600)
}

func (b *bench) command(dir string, args ...string) process {
	return process{Path: b.ebb, Args: append([]string{args[0], "--config", "config.yaml"}, args[1:]...), Dir: dir}
}

// removeWorkspace makes room on the disk for the next row.
func removeWorkspace(name string) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error { return os.RemoveAll(filepath.Join(b.dir, name)) }
}

// listRow lists files that are there. The bare pass is one readdir a directory, with an lstat of
// each file where there are several.
func listRow(size, each int, reach float64, repeats int) row {
	name := fmt.Sprintf("list/%d/%d", size, each)
	work, is := "names", "one readdir a directory, on all cores"
	if each > 1 {
		work, is = "lstat", "one readdir a directory and one lstat a file, on all cores"
	}
	what := fmt.Sprintf("list %d files, one an execution", size)
	if each > 1 {
		what = fmt.Sprintf("list %d files, %d an execution", size, each)
	}
	return row{
		Name: name, What: what, BareIs: is, Size: size, Reach: reach, repeats: repeats, cleanup: removeWorkspace(filepath.Base(name) + "-list"),
		prepare: func(_ context.Context, b *bench) (step, step, error) {
			dir, store, err := b.listed(filepath.Base(name)+"-list", size, each)
			return same(b.command(dir, "list-rollback")), same(process{Path: b.self, Args: []string{"bare", work, store}}), err
		},
	}
}

// listed makes a workspace whose store has files to list, unless the row before has left it.
func (b *bench) listed(name string, size, each int) (dir, store string, err error) {
	dir, store, err = b.workspace(name)
	switch {
	case errors.Is(err, fs.ErrExist):
		dir = filepath.Join(b.dir, name)
		return dir, filepath.Join(dir, "versions"), nil
	case err == nil:
		err = fillNames(store, size, each)
	}
	return dir, store, err
}

// kept is a row that leaves its files to the next one.
func kept(r row) row {
	r.cleanup = nil
	return r
}

// oneCoreRow is a listRow whose bare pass uses one core.
func oneCoreRow(size, repeats int) row {
	r := listRow(size, 1, 0.6, repeats)
	list := r.prepare
	r.Name += "/one-core"
	r.BareIs = "one readdir a directory, one after the other"
	r.What += ", beside a pass of one core"
	r.prepare = func(ctx context.Context, b *bench) (ebb, bare step, err error) {
		ebb, _, err = list(ctx, b)
		store := filepath.Join(b.dir, "1-list", "versions")
		return ebb, same(process{Path: b.self, Args: []string{"bare", "names-one", store}}), err
	}
	return r
}

func jsonRow(size, each int) row {
	r := listRow(size, each, 0, 2)
	list := r.prepare
	r.Name, r.What = r.Name+"/json", r.What+", `-o json`"
	r.prepare = func(ctx context.Context, b *bench) (ebb, bare step, err error) {
		_, bare, err = list(ctx, b)
		return same(b.command(filepath.Join(b.dir, fmt.Sprintf("%d-list", each)), "list-rollback", "-o", "json")), bare, err
	}
	return r
}

// victim makes a namespace with a pod that runs: chaos without one has no effect.
func (b *bench) victim(ctx context.Context) (string, error) {
	namespace, err := b.namespace(ctx)
	if err != nil {
		return "", err
	}
	_, err = b.client.Resource(pods).Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "victim"},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "example.com/web:1"}}},
	}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return namespace, b.running(ctx, namespace, 1)
}

// outageRow runs one outage of no time, beside pending files of others.
func outageRow(size int) row {
	name := fmt.Sprintf("run/%d", size)
	workspace := fmt.Sprintf("run-%d", size)
	return row{
		Name: name, What: fmt.Sprintf("`run` of one outage of 0 s, beside %d pending files", size), Size: size, repeats: 3,
		BareIs: "client-go: the requests of that run", Reach: 1.2, cleanup: removeWorkspace(workspace),
		prepare: func(ctx context.Context, b *bench) (step, step, error) {
			t, err := b.template(ctx, "policy")
			if err != nil {
				return nil, nil, err
			}
			dir, store, err := b.workspace(workspace)
			if err != nil {
				return nil, nil, err
			}
			namespace, err := b.victim(ctx)
			if err != nil {
				return nil, nil, err
			}
			scenario := fmt.Sprintf("application_outage: {namespace: %s, duration: 0}\n", namespace)
			config := configText(b.kubeconfig, store) + "  chaos_scenarios:\n    - application_outages_scenarios: [scenario.yaml]\n"
			for file, content := range map[string]string{"config.yaml": config, "scenario.yaml": scenario} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					return nil, nil, err
				}
			}
			copies, err := b.copies(ctx, t, size, false, nil)
			if err == nil {
				err = fill(store, copies)
			}
			if err == nil && size > 0 {
				err = settled(ctx)
			}
			bare, bareErr := b.work(workspace, 1, [][]Request{outageRequests(namespace)})
			if err == nil {
				err = bareErr
			}
			return same(b.command(dir, "run")), same(bare), err
		},
	}
}

// settled waits until what was filled is as old as what other runs have left: what changed within the last
// seconds is not indexed. The first run after that makes the index. Its time is the highest of the row.
func settled(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(7 * time.Second):
		return nil
	}
}

// journalRow reads a long journal.
func journalRow(size int) row {
	return row{
		Name: fmt.Sprintf("journal/%d", size), What: fmt.Sprintf("`history` of one run, in a journal of %d lines", size), Size: size,
		cleanup: removeWorkspace("journal"),
		prepare: func(_ context.Context, b *bench) (step, step, error) {
			dir, store, err := b.workspace("journal")
			if err == nil {
				err = fillNames(store, 10, 1)
			}
			if err == nil {
				err = fillJournal(store, size)
			}
			return same(b.command(dir, "history", "--run_uuid", runOf(1))), nil, err
		},
	}
}

// work is a bare program that sends requests.
func (b *bench) work(name string, parallel int, pieces [][]Request) (process, error) {
	content, err := json.Marshal(Work{Kubeconfig: b.kubeconfig, Parallel: parallel, Pieces: pieces})
	if err != nil {
		return process{}, err
	}
	file := filepath.Join(b.dir, name+".json")
	return process{Path: b.self, Args: []string{"bare", "requests", file}}, os.WriteFile(file, content, 0o600)
}
