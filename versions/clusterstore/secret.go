package clusterstore

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/signature"
	"github.com/ebb-chaos/ebb/versions"
)

// maxData is the maximal data of a Secret, less some room for keys and signatures.
const maxData = 1<<20 - 4<<10

// format is the version of the format of a Secret.
const format = 1

// entry is a version file of a store, as the metadata of its Secret describes it.
type entry struct {
	versions.File
	ordinal      int
	secret       string // name of the Secret
	uid, version string
	state        string // of the label
	clusterUID   string
	holder       string // the writer, for readHolder
	executedBy   string
	executedAt   time.Time
	written      time.Time
}

// writers are reused: a new one takes a megabyte.
var writers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// pack compresses a version file. It returns an error if the result does not fit into a Secret.
func pack(content []byte) ([]byte, error) {
	if err := versions.CheckContent(content); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if packed.Len() > maxData {
		return nil, fmt.Errorf("version file: got %d bytes, gzipped %d, want at most %d: a Secret holds no more", len(content), packed.Len(), maxData)
	}
	return packed.Bytes(), nil
}

// unpack is the reverse of pack. The input may be anything, because others can write Secrets.
func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("is not gzipped: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(r, versions.MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("is not gzipped: %w", err)
	}
	return content, versions.CheckContent(content)
}

// statement is the signed statement about a file.
func statement(f versions.File, clusterUID, incarnation string, ordinal int, content []byte) signature.Statement {
	return signature.Statement{
		Format: format, ClusterUID: clusterUID, Execution: f.Execution, Incarnation: incarnation, Ordinal: ordinal,
		Name: f.In(versions.Pending).Name, SHA256: versions.Digest(content),
	}
}

// binding says for what a file is signed, besides its place in the execution.
type binding struct{ clusterUID, incarnation string }

// signed returns what files are signed for now.
func (e *execution) signed(ctx context.Context) binding {
	return binding{e.store.targetUID(ctx), e.hold.incarnation()}
}

// object makes the Secret of a file.
func (e *execution) object(f versions.File, ordinal int, b binding, content, packed []byte) kube.Object {
	data := kube.Object{dataFile: base64.StdEncoding.EncodeToString(packed)}
	if signer := e.store.signer; signer != nil {
		data[dataSignature] = base64.StdEncoding.EncodeToString(signer.Sign(statement(f, b.clusterUID, b.incarnation, ordinal, content)))
		data[dataKey] = base64.StdEncoding.EncodeToString([]byte(signer.ID()))
	}
	labels := kube.Object{
		labelRun: e.runUUID, labelType: labelValue(f.ScenarioType), labelExecution: labelValue(e.id),
		labelState: string(f.State), labelObject: objectFile, labelCluster: labelValue(b.clusterUID),
	}
	notes := kube.Object{
		noteExecution: e.id, noteFile: f.In(versions.Pending).Name, noteSize: strconv.Itoa(len(content)), noteHolder: e.hold.holder.String(),
	}
	if f.State == versions.Executed {
		notes[noteExecutedAt] = time.Now().UTC().Format(time.RFC3339Nano)
	}
	return kube.Object{
		"metadata": kube.Object{"name": secretName(e.id, ordinal), "labels": labels, "annotations": notes},
		"type":     typeFile, "immutable": true, "data": data,
	}
}

// fence makes the Secret that uses up an ordinal. It has no label of the run: if the answer to its
// creation is lost, it must not look like a file of the run.
func (e *execution) fence(ordinal int) kube.Object {
	return kube.Object{
		"metadata": kube.Object{
			"name":        secretName(e.id, ordinal),
			"labels":      kube.Object{labelExecution: labelValue(e.id), labelObject: objectFence},
			"annotations": kube.Object{noteExecution: e.id, noteHolder: e.hold.holder.String()},
		},
		"type": typeFence, "immutable": true,
	}
}

// errNotOurs is the error for a Secret that no store has written in this form.
var errNotOurs = errors.New("is no version file of ebb's")

// readEntry reads the metadata of a Secret.
func (s *Store) readEntry(meta metav1.Object) (entry, error) {
	notes, labels := meta.GetAnnotations(), meta.GetLabels()
	id := notes[noteExecution]
	if _, _, err := versions.ParseExecutionID(id); err != nil {
		return entry{}, fmt.Errorf("annotation %s: %w", noteExecution, err)
	}
	ordinal, ok := ordinalOf(id, meta.GetName())
	if label := labels[labelExecution]; !ok || label != id && label != labelValue(id) {
		return entry{}, fmt.Errorf("is named and labelled for another execution than its annotation's %q", id)
	}
	f, err := versions.ParseFile(id, notes[noteFile])
	if err != nil || f.State != versions.Pending || f.Kind != versions.KindVersion {
		return entry{}, fmt.Errorf("annotation %s: got %q, want the name of a pending version file", noteFile, notes[noteFile])
	}
	e := entry{
		ordinal: ordinal, secret: meta.GetName(), uid: string(meta.GetUID()), version: meta.GetResourceVersion(),
		state: labels[labelState], clusterUID: labels[labelCluster], holder: notes[noteHolder],
		executedBy: notes[noteExecutedBy], written: meta.GetCreationTimestamp().Time,
	}
	f.Changed = e.written
	if text, ok := notes[noteExecutedAt]; ok {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			e.executedAt, f.Changed = at, at
		}
	}
	if size, err := strconv.ParseInt(notes[noteSize], 10, 64); err == nil {
		f.Size = size
	}
	switch e.state {
	case string(versions.Executed):
		f = f.In(versions.Executed)
	case string(versions.Pending), stateRemoved, stateOriginal:
	default:
		return entry{}, fmt.Errorf("label %s: got %q, want %s or %s", labelState, e.state, versions.Pending, versions.Executed)
	}
	f.Location = s.locate(id) + "/" + f.Name
	e.File = f
	return e, nil
}

// read returns the content of a Secret if it is proven to be written by a runner, or by this store.
func (s *Store) read(ctx context.Context, x entry, incarnation string) ([]byte, error) {
	object, err := s.client.Get(ctx, secrets, s.options.Namespace, x.secret)
	if err != nil {
		return nil, asMissing(err, x.File)
	}
	return s.content(ctx, x, object, incarnation)
}

// content is read for a Secret that was fetched already.
func (s *Store) content(ctx context.Context, x entry, object kube.Object, incarnation string) ([]byte, error) {
	now, err := s.readEntry(kube.Meta(object))
	switch {
	case err != nil:
		return nil, &versions.UntrustedError{Location: x.Location, Problem: err.Error()}
	case now.uid != x.uid || now.Key() != x.Key() || object["type"] != typeFile || object["immutable"] != true:
		return nil, &versions.UntrustedError{Location: x.Location, Problem: errNotOurs.Error() + ": it was replaced since it was listed, or is not immutable"}
	}
	data, _ := object["data"].(kube.Object)
	parts := map[string][]byte{}
	for _, key := range []string{dataFile, dataSignature, dataKey} {
		text, _ := data[key].(string)
		if parts[key], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, &versions.UntrustedError{Location: x.Location, Problem: errNotOurs.Error()}
		}
	}
	content, err := unpack(parts[dataFile])
	if err != nil {
		return nil, &versions.UntrustedError{Location: x.Location, Problem: err.Error()}
	}
	if s.remembers(now.uid, versions.Digest(content)) {
		return content, nil
	}
	err = s.verify(statement(now.File, now.clusterUID, incarnation, now.ordinal, content), string(parts[dataKey]), parts[dataSignature])
	if err == nil {
		if want := s.targetUID(ctx); want != "" && now.clusterUID != "" && want != now.clusterUID {
			err = fmt.Errorf("is for the cluster with the UID %s, and this one has %s", now.clusterUID, want)
		}
	}
	if err == nil {
		return content, nil
	}
	if s.options.Force {
		s.log.Warn(fmt.Sprintf("%s %v: it is read all the same, by force", x.Location, err))
		return content, nil
	}
	return nil, &versions.UntrustedError{Location: x.Location, Problem: err.Error(), Digest: versions.Digest(content)}
}

// describe names the holder that changed the state of a Secret, for its annotation.
func (h holder) describe() string {
	return strings.TrimSpace(fmt.Sprintf("PID %d (%s) on host %s", h.PID, h.Command, h.Host))
}
