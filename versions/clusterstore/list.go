package clusterstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// objects returns the metadata of all Secrets of an execution.
func (s *Store) objects(ctx context.Context, id string) ([]metav1.PartialObjectMetadata, error) {
	return s.client.ListMetadata(ctx, secrets, s.options.Namespace, kube.ListOptions{LabelSelector: labelExecution + "=" + labelValue(id)})
}

// List implements versions.Store. It reads metadata only.
func (s *Store) List(ctx context.Context, f versions.Filter) (versions.Listing, error) {
	listing := versions.Listing{Executions: []versions.ExecutionInfo{}}
	var selector []string
	if f.RunUUID != "" {
		if versions.CheckRunUUID(f.RunUUID) != nil {
			return listing, ctx.Err() // no run can have this UUID
		}
		selector = append(selector, labelRun+"="+f.RunUUID)
	}
	if f.ScenarioType != "" {
		selector = append(selector, labelType+"="+labelValue(f.ScenarioType))
	}
	if f.PendingOnly {
		// A Secret without a state, or with an unknown one, is selected, and reported as a problem.
		selector = append(selector, fmt.Sprintf("%s notin (%s, %s, %s)", labelState, versions.Executed, stateRemoved, stateOriginal))
	}
	// By type, which is immutable. Labels can be changed by anybody who may write Secrets.
	found, err := s.client.ListMetadata(ctx, secrets, s.options.Namespace, kube.ListOptions{FieldSelector: isFile, LabelSelector: strings.Join(selector, ",")})
	if err != nil {
		return listing, err
	}
	g := collector{store: s, executions: make(map[string]*versions.ExecutionInfo, len(found)), newest: make(map[string]*entry, len(found))}
	for i := range found {
		g.add(&found[i], &listing)
	}
	if f.ScenarioType == "" && !f.PendingOnly { // executions without files are listed, too
		held, err := s.client.ListMetadata(ctx, leases, s.options.Namespace, kube.ListOptions{LabelSelector: strings.Join(withRun(labelObject+"="+objectLease, f.RunUUID), ",")})
		if err != nil {
			return listing, err
		}
		for _, lease := range held {
			if x := g.execution(lease.Annotations[noteExecution]); x != nil && x.Changed.IsZero() {
				x.Changed = lease.CreationTimestamp.Time
			}
		}
	}
	g.finish(f, &listing)
	return listing, nil
}

func withRun(selector, runUUID string) []string {
	if runUUID == "" {
		return []string{selector}
	}
	return []string{selector, labelRun + "=" + runUUID}
}

// collector makes a listing.
type collector struct {
	store      *Store
	executions map[string]*versions.ExecutionInfo
	newest     map[string]*entry // by the key of the file
}

func (g *collector) execution(id string) *versions.ExecutionInfo {
	if x, ok := g.executions[id]; ok {
		return x
	}
	timestamp, runUUID, err := versions.ParseExecutionID(id)
	if err != nil {
		return nil
	}
	x := &versions.ExecutionInfo{ID: id, RunUUID: runUUID, Timestamp: timestamp, Location: g.store.locate(id), Files: []versions.File{}}
	g.executions[id] = x
	return x
}

func (g *collector) add(object metav1.Object, listing *versions.Listing) {
	e, err := g.store.readEntry(object)
	if err != nil {
		name := object.GetName()
		state := object.GetLabels()[labelState]
		listing.Problems = append(listing.Problems, versions.Problem{
			Location: fmt.Sprintf("%s/secret %q", g.store.Location(), name), What: err.Error(),
			Remedy: fmt.Sprintf("put back what somebody changed, or delete it when what it undoes is restored: kubectl -n %s edit secret %s", g.store.options.Namespace, name),
			Hides:  state != string(versions.Executed) && state != stateRemoved && state != stateOriginal,
		})
		return
	}
	if e.state == stateRemoved || e.state == stateOriginal {
		return
	}
	x := g.execution(e.Execution)
	if e.Changed.After(x.Changed) {
		x.Changed = e.Changed
	}
	// An edit creates a new Secret. For a moment there are two for one file.
	key := e.Key()
	if other := g.newest[key]; other == nil || other.ordinal < e.ordinal {
		g.newest[key] = &e
	}
}

func (g *collector) finish(f versions.Filter, listing *versions.Listing) {
	for _, e := range g.newest {
		if (f.ScenarioType == "" || f.ScenarioType == e.ScenarioType) && (!f.PendingOnly || e.State == versions.Pending) {
			x := g.executions[e.Execution]
			x.Files = append(x.Files, e.File)
		}
	}
	for _, x := range g.executions {
		switch {
		case x.ID == f.Except || f.RunUUID != "" && x.RunUUID != f.RunUUID:
		case len(x.Files) == 0 && (f.ScenarioType != "" || f.PendingOnly):
		default:
			versions.SortFiles(x.Files)
			listing.Executions = append(listing.Executions, *x)
		}
	}
	slices.SortFunc(listing.Executions, func(a, b versions.ExecutionInfo) int {
		return cmp.Or(cmp.Compare(b.Timestamp, a.Timestamp), cmp.Compare(b.ID, a.ID))
	})
	slices.SortFunc(listing.Problems, func(a, b versions.Problem) int { return cmp.Compare(a.Location, b.Location) })
}

// Read implements versions.Store.
func (s *Store) Read(ctx context.Context, f versions.File) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x, err := s.find(ctx, f)
	if err != nil {
		return nil, err
	}
	incarnation, err := s.incarnation(ctx, f.Execution)
	if err != nil {
		return nil, err
	}
	return s.read(ctx, x, incarnation)
}

// find returns a file of the store.
func (s *Store) find(ctx context.Context, f versions.File) (entry, error) {
	if _, _, err := versions.ParseExecutionID(f.Execution); err != nil {
		return entry{}, err
	}
	if _, err := versions.ParseFile(f.Execution, f.Name); err != nil {
		return entry{}, err
	}
	found, err := s.objects(ctx, f.Execution)
	if err != nil {
		return entry{}, err
	}
	inside := s.entries(f.Execution, found)
	if x, ok := inside.files[f.Key()]; ok && x.Name == f.Name {
		return x, nil
	}
	return entry{}, notThere("version file", f.Name)
}

// Original implements versions.Store.
func (s *Store) Original(ctx context.Context, f versions.File) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := s.find(ctx, f); err != nil {
		return nil, err
	}
	found, err := s.objects(ctx, f.Execution)
	if err != nil {
		return nil, err
	}
	older := s.entries(f.Execution, found).older[f.Key()]
	if len(older) == 0 {
		return nil, notThere("original of version file", f.Name)
	}
	incarnation, err := s.incarnation(ctx, f.Execution)
	if err != nil {
		return nil, err
	}
	return s.read(ctx, older[0], incarnation)
}

// incarnation is the UID of the Lease, which the signatures of an execution's files contain.
// Without a Lease, no signature is valid.
func (s *Store) incarnation(ctx context.Context, id string) (string, error) {
	lease, err := s.client.Get(ctx, leases, s.options.Namespace, objectName(id))
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	return string(kube.Meta(lease).GetUID()), err
}

// inside has the Secrets of an execution.
type inside struct {
	files map[string]entry   // by their keys
	older map[string][]entry // contents before their edits, oldest first
	used  int                // the greatest ordinal
	rest  []leftover         // Secrets that are no longer files
}

// leftover is a Secret that is no longer a file.
type leftover struct {
	secret, uid string
	fence       bool
}

// entries reads the Secrets of an execution. If a file has two, the one with the greater ordinal
// counts.
func (s *Store) entries(id string, objects []metav1.PartialObjectMetadata) inside {
	x := inside{files: map[string]entry{}, older: map[string][]entry{}}
	for i := range objects {
		object := &objects[i]
		if n, ok := ordinalOf(id, object.Name); ok {
			x.used = max(x.used, n)
		}
		e, err := s.readEntry(object)
		if fence := object.Labels[labelObject] == objectFence; fence || err == nil && e.state == stateRemoved {
			x.rest = append(x.rest, leftover{object.Name, string(object.UID), fence})
			continue
		}
		if err != nil || e.Execution != id {
			continue // List says what is wrong with it
		}
		other, ok := x.files[e.Key()]
		switch {
		case e.state == stateOriginal:
			x.older[e.Key()] = append(x.older[e.Key()], e)
		case !ok:
			x.files[e.Key()] = e
		case other.ordinal < e.ordinal:
			x.older[e.Key()], x.files[e.Key()] = append(x.older[e.Key()], other), e
		default:
			x.older[e.Key()] = append(x.older[e.Key()], e)
		}
	}
	for key, older := range x.older {
		slices.SortFunc(older, func(a, b entry) int { return cmp.Compare(a.ordinal, b.ordinal) })
		if _, ok := x.files[key]; !ok { // its file is gone, so it should be removed, too
			for _, e := range older {
				x.rest = append(x.rest, leftover{e.secret, e.uid, false})
			}
		}
	}
	return x
}

// Locate finds the file of an operand: its location, or its execution and name.
func (s *Store) Locate(ctx context.Context, operand string) (versions.File, error) {
	id, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(operand, s.Location()+"/"), Scheme), "/")
	f, err := versions.ParseFile(id, name)
	if err != nil {
		return f, err
	}
	x, err := s.find(ctx, f)
	return x.File, err
}

func asMissing(err error, f versions.File) error {
	if apierrors.IsNotFound(err) {
		return notThere("version file", f.Name)
	}
	return err
}
