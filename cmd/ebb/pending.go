package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/suggest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// pending counts the pending files of a listing: those that ebb can replay, and those of Krkn,
// which have to be imported first.
func pending(listing versions.Listing) (ours, krkns int) {
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			switch {
			case f.Replayable():
				ours++
			case f.State == versions.Pending && f.Kind == versions.KindForeign:
				krkns++
			}
		}
	}
	return ours, krkns
}

// sayPending says at the start of a run what earlier runs have left.
func (s *setup) sayPending(ctx context.Context) {
	listing, err := s.store.List(ctx, versions.Filter{PendingOnly: true})
	if err != nil {
		s.log.Warn(fmt.Sprintf("whether other runs left anything pending is not known: %v", err))
		return
	}
	ours, krkns := pending(listing)
	if ours > 0 {
		s.log.Warn(fmt.Sprintf("%d version file(s) of other runs are pending; look: ebb list-rollback --config %s --pending; replay: ebb execute-rollback --config %s", ours, s.File, s.File))
	}
	s.sayKrkns(krkns)
	s.sayElsewhere(ctx)
}

// sayKrkns says how many files of Krkn's have to be imported before they can be replayed.
func (s *setup) sayKrkns(n int) {
	if n > 0 {
		s.log.Error(fmt.Sprintf("%d pending version file(s) of Krkn's (.py) in %s are not restored; to make version files of ebb's of them: ebb import-rollback --config %s; what was restored by hand: ebb mark-rollback --reason TEXT FILE", n, s.store.Location(), s.File))
	}
}

// sayElsewhere says what is pending in the directory that Krkn uses when its configuration names
// none, where nobody who uses this one looks.
func (s *setup) sayElsewhere(ctx context.Context) {
	home, err := os.UserHomeDir()
	if err != nil {
		return // then Krkn has none
	}
	path := filepath.Join(home, ".krkn", "rollback")
	if path == s.store.Location() {
		return
	}
	store, err := versions.NewDir(path)
	var listing versions.Listing
	if err == nil {
		listing, err = store.List(ctx, versions.Filter{PendingOnly: true})
	}
	if err != nil {
		s.log.Debug(fmt.Sprintf("Krkn's default versions directory %s: %v", path, err))
		return
	}
	if ours, krkns := pending(listing); ours+krkns > 0 {
		text := fmt.Sprintf("%d pending version file(s) in %s, Krkn's default versions directory: this configuration uses %s", ours+krkns, path, s.store.Location())
		if krkns > 0 {
			text += "; to import them: ebb import-rollback " + quoted(path)
		}
		s.log.Warn(text)
	}
}

// unknownTypeError is a scenario type that no version file has, although others are pending.
type unknownTypeError struct {
	name  string
	known []string
	other int
}

func (e *unknownTypeError) Error() string {
	text := fmt.Sprintf("no version files of scenario type %q", e.name)
	if meant := suggest.Nearest(e.name, e.known); meant != "" {
		text += fmt.Sprintf("; did you mean %q?", meant)
	}
	return fmt.Sprintf("%s: %d pending file(s) are of %s", text, e.other, strings.Join(e.known, ", "))
}

// selected looks at what a selection matches: a mistyped type must not pass for "nothing to do".
// The error is a *runner.UnknownRunError or an *unknownTypeError. ours and krkns count what it
// matches.
func (s *setup) selected(ctx context.Context, o selectionOptions) (ours, krkns int, err error) {
	all, err := s.store.List(ctx, versions.Filter{})
	if err != nil {
		return 0, 0, err
	}
	var runs, types, pendingTypes []string
	other := 0
	for _, x := range all.Executions {
		runs = append(runs, x.RunUUID)
		for _, f := range x.Files {
			types = append(types, f.ScenarioType)
			wanted := (o.RunUUID == "" || o.RunUUID == x.RunUUID) && (o.ScenarioType == "" || o.ScenarioType == f.ScenarioType)
			switch {
			case f.State != versions.Pending:
			case !wanted:
				other++
				pendingTypes = append(pendingTypes, f.ScenarioType)
			case f.Kind == versions.KindForeign:
				krkns++
			default:
				ours++
			}
		}
	}
	slices.Sort(pendingTypes)
	switch {
	case o.RunUUID != "" && !slices.Contains(runs, o.RunUUID):
		return 0, 0, &runner.UnknownRunError{RunUUID: o.RunUUID, Known: unique(runs)}
	case o.ScenarioType != "" && other > 0 && !slices.Contains(types, o.ScenarioType) && !slices.Contains(builtInTypes(), o.ScenarioType):
		return 0, 0, &unknownTypeError{o.ScenarioType, slices.Compact(pendingTypes), other}
	case ours+krkns == 0 && other > 0:
		s.log.Info(fmt.Sprintf("nothing is pending of what was asked for; %d other pending file(s)", other))
	}
	return ours, krkns, nil
}

// unique returns words without repetition, in their order.
func unique(words []string) []string {
	var once []string
	seen := map[string]bool{}
	for _, w := range words {
		if !seen[w] {
			seen[w] = true
			once = append(once, w)
		}
	}
	return once
}
