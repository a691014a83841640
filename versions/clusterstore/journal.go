package clusterstore

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// journals is where this store writes its next line: a Secret for each day. A day with more lines
// than one Secret can hold has several.
type journals struct {
	mu   sync.Mutex
	day  string
	part int
}

// journalDate is the format of a day in the name of a Secret.
const journalDate = "20060102"

// mostParts bounds the journal of one day: some 100 MB.
const mostParts = 100

func (j *journals) name(day string, full bool) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.day != day {
		j.day, j.part = day, 0
	} else if full {
		j.part++
	}
	if j.part == mostParts {
		return "", fmt.Errorf("the journal of %s is full", day)
	}
	return fmt.Sprintf("%sjournal-%s-%d", objectPrefix, day, j.part), nil
}

// Append implements versions.Store. Some lines cost no request: that a file was flushed follows
// from its Secret, and an attempt from its outcome.
func (s *Store) Append(ctx context.Context, e versions.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.Execution != "" && (e.Event == versions.EventFlushed || e.Event == versions.EventAttempt) {
		return nil
	}
	e, err := e.Completed()
	if err != nil {
		return err
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	now := time.Now()
	key := fmt.Sprintf("%d-%s", now.UnixNano(), uuid.NewString()[:8])
	data := kube.Object{key: base64.StdEncoding.EncodeToString(line)}
	for full := false; ; full = true {
		name, err := s.journals.name(now.UTC().Format(journalDate), full)
		if err != nil {
			return err
		}
		err = s.addLine(ctx, name, data)
		// The API server answers 422 if the data is longer than a Secret may be.
		if !apierrors.IsInvalid(err) && !apierrors.IsRequestEntityTooLargeError(err) {
			return err
		}
	}
}

// addLine adds a key to a Secret, and creates the Secret if it does not exist.
func (s *Store) addLine(ctx context.Context, name string, data kube.Object) error {
	_, err := s.client.Patch(ctx, secrets, s.options.Namespace, name, kube.Object{"data": data}, kube.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = s.client.Create(ctx, secrets, s.options.Namespace, kube.Object{
		"metadata": kube.Object{"name": name, "labels": kube.Object{labelObject: objectJournal}},
		"type":     typeJournal, "data": data,
	})
	if apierrors.IsAlreadyExists(err) { // another process has created it meanwhile
		_, err = s.client.Patch(ctx, secrets, s.options.Namespace, name, kube.Object{"data": data}, kube.PatchOptions{})
	}
	return err
}

// line is a line of the journal, with the keys of its order.
type line struct {
	at    int64
	key   string
	entry versions.Entry
	err   error
}

// Journal implements versions.Store. For existing files, it also yields an entry for the flush.
func (s *Store) Journal(ctx context.Context, f versions.Filter) iter.Seq2[versions.Entry, error] {
	return func(yield func(versions.Entry, error) bool) {
		lines, err := s.lines(ctx)
		if err != nil {
			yield(versions.Entry{}, err)
			return
		}
		for number, l := range lines {
			err := l.err
			if err != nil {
				err = &versions.JournalError{Line: number + 1, Err: err}
			} else if !l.entry.Matches(f) {
				continue
			}
			if !yield(l.entry, err) {
				return
			}
		}
	}
}

func (s *Store) lines(ctx context.Context) ([]line, error) {
	journals, err := s.client.List(ctx, secrets, s.options.Namespace, kube.ListOptions{LabelSelector: labelObject + "=" + objectJournal})
	if err != nil {
		return nil, err
	}
	files, err := s.client.ListMetadata(ctx, secrets, s.options.Namespace, kube.ListOptions{FieldSelector: isFile})
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, journal := range journals {
		data, _ := journal["data"].(kube.Object)
		for key, value := range data {
			lines = append(lines, readLine(key, value))
		}
	}
	for i := range files {
		x, err := s.readEntry(&files[i])
		if err != nil {
			continue // List reports the problem
		}
		writer := readHolder(x.holder)
		_, runUUID, _ := versions.ParseExecutionID(x.Execution) // readEntry has parsed it
		lines = append(lines, line{at: x.Timestamp, key: x.Name, entry: versions.Entry{
			Time: x.Created(), Event: versions.EventFlushed, RunUUID: runUUID, ScenarioType: x.ScenarioType, Execution: x.Execution,
			File: x.In(versions.Pending).Name, Host: writer.Host, PID: writer.PID,
		}})
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) })
	return lines, nil
}

func readLine(key string, value any) line {
	digits, _, _ := strings.Cut(key, "-")
	l := line{key: key}
	text, _ := value.(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &l.entry)
	}
	if err == nil && l.entry.Event == "" {
		err = errors.New("has no event")
	}
	at, numberErr := strconv.ParseInt(digits, 10, 64)
	l.at, l.err = at, errors.Join(err, numberErr)
	return l
}
