package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

var _ versions.RemnantCleaner = (*Store)(nil)

// CleanRemnants implements [versions.RemnantCleaner]. It removes a day of the journal if all its
// lines are old enough and none is about an existing execution. It also removes what is left of
// executions that have neither a file nor a Lease.
func (s *Store) CleanRemnants(ctx context.Context, before time.Time, dryRun bool) (removed []versions.Remnant, err error) {
	days, err := s.remnants(ctx, labelObject+"="+objectJournal, before, func(day metav1.PartialObjectMetadata) time.Time {
		date, ok := journalDay(day.Name)
		if !ok {
			return time.Now()
		}
		return date.AddDate(0, 0, 1)
	})
	if err != nil {
		return nil, err
	}
	made := func(object metav1.PartialObjectMetadata) time.Time { return object.CreationTimestamp.Time }
	var orphans []metav1.PartialObjectMetadata
	for _, selector := range []string{labelObject + "=" + objectFence, fmt.Sprintf("%s in (%s, %s)", labelState, stateRemoved, stateOriginal)} {
		more, err := s.remnants(ctx, selector, before, made)
		if err != nil {
			return nil, err
		}
		orphans = append(orphans, more...)
	}
	if len(days)+len(orphans) == 0 {
		return nil, nil
	}
	listing, err := s.List(ctx, versions.Filter{}) // after the Secrets, so that it has the executions that began meanwhile
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, x := range listing.Executions {
		there[x.ID] = true
	}
	for _, day := range days {
		ok, cleanErr := s.cleanDay(ctx, day.Name, there, dryRun)
		if err = errors.Join(err, cleanErr); ok {
			removed = append(removed, versions.Remnant{Location: s.Location() + "/" + day.Name, What: "a day of the journal"})
		}
	}
	for _, orphan := range orphans {
		if there[orphan.Annotations[noteExecution]] {
			continue
		}
		if !dryRun {
			cleanErr := s.client.Delete(ctx, secrets, s.options.Namespace, orphan.Name, kube.DeleteOptions{UID: string(orphan.UID)})
			if err = errors.Join(err, ignoreGone(cleanErr)); cleanErr != nil {
				continue
			}
		}
		removed = append(removed, versions.Remnant{Location: s.Location() + "/" + orphan.Name, What: "left of an execution that is gone"})
	}
	return removed, err
}

// remnants finds Secrets that are older than a time.
func (s *Store) remnants(ctx context.Context, selector string, before time.Time, at func(metav1.PartialObjectMetadata) time.Time) ([]metav1.PartialObjectMetadata, error) {
	found, err := s.client.ListMetadata(ctx, secrets, s.options.Namespace, kube.ListOptions{LabelSelector: selector})
	return slices.DeleteFunc(found, func(object metav1.PartialObjectMetadata) bool { return at(object).After(before) }), err
}

// cleanDay removes a Secret of the journal, unless it is about an existing execution or somebody
// has just written to it.
func (s *Store) cleanDay(ctx context.Context, name string, there map[string]bool, dryRun bool) (gone bool, err error) {
	journal, err := s.client.Get(ctx, secrets, s.options.Namespace, name)
	if err != nil {
		return false, ignoreGone(err)
	}
	data, _ := journal["data"].(kube.Object)
	for key, value := range data {
		if l := readLine(key, value); l.err == nil && there[l.entry.Execution] {
			return false, nil
		}
	}
	if dryRun {
		return true, nil
	}
	meta := kube.Meta(journal)
	err = s.client.Delete(ctx, secrets, s.options.Namespace, name, kube.DeleteOptions{UID: string(meta.GetUID()), ResourceVersion: meta.GetResourceVersion()})
	return err == nil, ignoreGone(err)
}

// ignoreGone drops the error for an object that somebody else removed or changed meanwhile. The
// next cleanup checks it again.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// journalDay returns the day in a name that Append has made.
func journalDay(name string) (day time.Time, ok bool) {
	rest, ours := strings.CutPrefix(name, objectPrefix+"journal-")
	date, part, _ := strings.Cut(rest, "-")
	day, err := time.Parse(journalDate, date)
	number, numberErr := strconv.Atoi(part)
	return day, ours && err == nil && numberErr == nil && number >= 0
}
