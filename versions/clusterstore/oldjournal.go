package clusterstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

var _ versions.JournalCleaner = (*Store)(nil)

// CleanJournal implements [versions.JournalCleaner]: a day of the journal goes when all of it is that
// old and none of its lines is about an execution that is still there.
func (s *Store) CleanJournal(ctx context.Context, before time.Time, dryRun bool) (removed []string, err error) {
	found, err := s.client.ListMetadata(ctx, secrets, s.options.Namespace, kube.ListOptions{LabelSelector: labelObject + "=" + objectJournal})
	if err != nil {
		return nil, err
	}
	old := slices.DeleteFunc(found, func(object kube.Object) bool {
		day, ok := journalDay(kube.Meta(object).GetName())
		return !ok || day.AddDate(0, 0, 1).After(before)
	})
	if len(old) == 0 {
		return nil, nil
	}
	listing, err := s.List(ctx, versions.Filter{})
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, x := range listing.Executions {
		there[x.ID] = true
	}
	for _, object := range old {
		name := kube.Meta(object).GetName()
		ok, cleanErr := s.cleanDay(ctx, name, there, dryRun)
		if err = errors.Join(err, cleanErr); ok {
			removed = append(removed, s.Location()+"/"+name)
		}
	}
	return removed, err
}

// cleanDay removes a Secret of the journal unless it tells of an execution that is there, or somebody
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

// ignoreGone is for what somebody else removed or changed meanwhile: the next cleanup looks again.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// journalDay is the reverse of the names that Append gives.
func journalDay(name string) (day time.Time, ok bool) {
	rest, ours := strings.CutPrefix(name, objectPrefix+"journal-")
	date, part, _ := strings.Cut(rest, "-")
	day, err := time.Parse(journalDate, date)
	number, numberErr := strconv.Atoi(part)
	return day, ours && err == nil && numberErr == nil && number >= 0
}
