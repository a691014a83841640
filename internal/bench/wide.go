package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/versions"
)

// wideRow replays one file with many pods.
func wideRow(size int) row {
	name := fmt.Sprintf("wide/%d", size)
	workspace := fmt.Sprintf("wide-%d", size)
	return row{
		Name: name, What: fmt.Sprintf("one file with %d pods", size), BareIs: "client-go: " + requestNames(podRequests(Request{})) + ", 16 at a time",
		Size: size, Reach: 1.1, repeats: 2, cleanup: removeWorkspace(workspace),
		prepare: func(ctx context.Context, b *bench) (step, step, error) {
			t, err := b.template(ctx, "hog")
			if err != nil {
				return nil, nil, err
			}
			dir, store, err := b.workspace(workspace)
			ebb := func(ctx context.Context) (process, error) {
				copies, err := b.ofOneRun(ctx, t, size)
				if err == nil {
					err = fill(store, []*copied{widened(t, copies)})
				}
				return b.command(dir, "execute-rollback", "--yes"), err
			}
			bare := func(ctx context.Context) (process, error) {
				copies, err := b.ofOneRun(ctx, t, size)
				var pieces [][]Request
				if err == nil {
					for _, c := range copies {
						pieces = append(pieces, podRequests(c.objects[0]))
					}
				}
				p, workErr := b.work(workspace, byDefault, pieces)
				return p, cmp.Or(err, workErr)
			}
			return ebb, bare, err
		},
	}
}

// ofOneRun makes pods that one run could have made.
func (b *bench) ofOneRun(ctx context.Context, t *template, n int) ([]*copied, error) {
	if err := b.empty(ctx, t.namespace); err != nil {
		return nil, err
	}
	all := slices.Repeat([]*copied{nil}, n)
	return all, each(ctx, n, func(ctx context.Context, i int) (err error) {
		all[i], err = b.copy(ctx, t, i, runOf(0), true, unscheduled)
		return err
	})
}

// What a hog's version file says of its pods.
var (
	undoesList = regexp.MustCompile(`(?s)undoes = \[.*?\]`)
	podsDict   = regexp.MustCompile(`(?s)pods = \{.*?\}`)
)

// widened is the file of a run of one pod, made to name those of copies.
func widened(t *template, copies []*copied) *copied {
	var refs, names strings.Builder
	for _, c := range copies {
		fmt.Fprintf(&refs, "        ref(\"Pod\", %q, %q),\n", c.objects[0].Name, t.namespace)
		fmt.Fprintf(&names, "        %q: \"node-1\",\n", c.objects[0].Name)
	}
	text := string(t.files[0].content)
	text = undoesList.ReplaceAllLiteralString(text, "undoes = [\n"+refs.String()+"    ]")
	text = podsDict.ReplaceAllLiteralString(text, "pods = {\n"+names.String()+"    }")
	text = strings.ReplaceAll(text, t.runUUID, runOf(0))
	return &copied{runUUID: runOf(0), files: []versionFile{{t.files[0].scenarioType, versions.Seal([]byte(text))}}}
}
