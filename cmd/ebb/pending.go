package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/suggest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// sayPending says at the start of a run which files earlier runs have left.
func (s *setup) sayPending(ctx context.Context) {
	ours, krkns, err := versions.CountPending(ctx, s.store.Store, versions.Filter{})
	if err != nil {
		s.log.Warn(fmt.Sprintf("whether other runs left anything pending is not known: %v", err))
		return
	}
	if ours > 0 {
		s.log.Warn(fmt.Sprintf("%d version file(s) of other runs are pending; look: %s; replay: %s", ours, s.next("list-rollback", "--pending"), s.next("execute-rollback")))
	}
	s.sayKrkns(krkns)
	s.sayElsewhere(ctx)
}

// sayKrkns says how many of Krkn's files have to be imported before they can be replayed.
func (s *setup) sayKrkns(n int) {
	if n > 0 {
		s.log.Error(fmt.Sprintf("%d pending version file(s) of Krkn's (.py) in %s are not restored; to make version files of ebb's of them: %s; what was restored by hand: %s", n, s.store.Location(), s.next("import-rollback"), s.next("mark-rollback", "--reason", "TEXT", "FILE")))
	}
}

// sayElsewhere reports what is pending in Krkn's default directory. Users of another directory
// would not look there.
func (s *setup) sayElsewhere(ctx context.Context) {
	home, err := os.UserHomeDir()
	if err != nil {
		return // then Krkn has no files there
	}
	path := filepath.Join(home, ".krkn", "rollback")
	if path == s.store.Location() {
		return
	}
	store, err := versions.NewDir(path)
	var ours, krkns int
	if err == nil {
		ours, krkns, err = versions.CountPending(ctx, store, versions.Filter{})
	}
	if err != nil {
		s.log.Debug(fmt.Sprintf("Krkn's default versions directory %s: %v", path, err))
		return
	}
	if ours+krkns > 0 {
		text := fmt.Sprintf("%d pending version file(s) in %s, Krkn's default versions directory: this configuration uses %s", ours+krkns, path, s.store.Location())
		if krkns > 0 {
			text += "; to import them: " + s.next("import-rollback", path)
		}
		s.log.Warn(text)
	}
}

// unknownTypeError is a scenario type that no version file has, although files of other types are
// pending.
type unknownTypeError struct {
	name  string
	known []string
	other int
	list  string // the command that lists all files
}

func (e *unknownTypeError) Error() string {
	text := fmt.Sprintf("no version files of scenario type %q", e.name)
	if meant := suggest.Nearest(e.name, e.known); meant != "" {
		text += fmt.Sprintf("; did you mean %q?", meant)
	}
	return fmt.Sprintf("%s: %d pending file(s) are of %s", text, e.other, strings.Join(e.known, ", "))
}

// Hints says how to list all files.
func (e *unknownTypeError) Hints() []string {
	return []string{"to see what is pending: " + e.list}
}

// selected checks what a selection matches: a mistyped scenario type must not look like "nothing to
// do". The error is a *runner.UnknownRunError or an *unknownTypeError. ours and krkns count the
// files that match.
func (s *setup) selected(ctx context.Context, o selectionOptions) (ours, krkns int, err error) {
	var runs []string // filled only if the run that was asked for may not exist
	types, pendingTypes := map[string]bool{}, map[string]bool{}
	other := 0
	for x, err := range versions.Executions(ctx, s.store.Store, versions.Filter{}) {
		if errors.As(err, new(*versions.EntryError)) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		if o.RunUUID != "" {
			runs = append(runs, x.RunUUID)
		}
		for _, f := range x.Files {
			types[f.ScenarioType] = true
			wanted := (o.RunUUID == "" || o.RunUUID == x.RunUUID) && (o.ScenarioType == "" || o.ScenarioType == f.ScenarioType)
			switch {
			case f.State != versions.Pending:
			case !wanted:
				other++
				pendingTypes[f.ScenarioType] = true
			case f.Kind == versions.KindForeign:
				krkns++
			default:
				ours++
			}
		}
	}
	switch {
	case o.RunUUID != "" && !slices.Contains(runs, o.RunUUID):
		return 0, 0, &runner.UnknownRunError{RunUUID: o.RunUUID, Known: unique(runs)}
	case o.ScenarioType != "" && other > 0 && !types[o.ScenarioType] && !slices.Contains(builtInTypes(), o.ScenarioType):
		return 0, 0, &unknownTypeError{o.ScenarioType, slices.Sorted(maps.Keys(pendingTypes)), other, s.next("list-rollback", "--pending")}
	case ours+krkns == 0 && other > 0:
		s.log.Info(fmt.Sprintf("nothing is pending of what was asked for; %d other pending file(s)", other))
	}
	return ours, krkns, nil
}

// unique returns words without duplicates, in their order.
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
