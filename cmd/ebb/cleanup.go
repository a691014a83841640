package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

// defaultAge is a month: long enough for a question about an incident.
const defaultAge = 30 * 24 * time.Hour

type cleanupOptions struct {
	commonOptions
	selectionOptions
	OlderThan time.Duration
	Keep      int
	DryRun    bool
}

func (o *cleanupOptions) flags() []cli.Flag {
	return slices.Concat(o.selectionOptions.flags(), []cli.Flag{
		&cli.DurationFlag{Name: "older-than", Destination: &o.OlderThan, Value: defaultAge, Usage: "remove what was executed longer ago than this `AGE`"},
		&cli.IntFlag{Name: "keep", Destination: &o.Keep, Usage: "keep at most the newest `N` executions, whatever their age; 0: no such limit"},
		&cli.BoolFlag{Name: "dry-run", Destination: &o.DryRun, Usage: "list what would be removed, change nothing"},
	}, o.commonOptions.flags())
}

func (o *cleanupOptions) check() error {
	err := errors.Join(o.noOperands(), o.commonOptions.check())
	if o.OlderThan < 0 {
		err = errors.Join(err, fmt.Errorf("--older-than: got %s, want 0 or more", o.OlderThan))
	}
	if o.Keep < 0 {
		err = errors.Join(err, fmt.Errorf("--keep: got %d, want 0 or more", o.Keep))
	}
	return err
}

func cleanupCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "cleanup-rollback",
		Usage:     "remove version files that were executed long ago",
		UsageText: "ebb cleanup-rollback [-c FILE] [--older-than 720h] [--keep N] [--dry-run]",
		Description: `
Removes executed version files that are older than --older-than, and writes that into
the journal. With --keep N it also removes younger ones, except those of the newest N
executions. It never removes a pending file, a file of Krkn's, or one that is in use.
In a cluster it also removes days of the journal that are as old, unless they tell of
an execution that is still there, and what is left of executions that are gone.
` + exitHelp(helpDone, helpFailed, helpRefused, helpUsage),
	}, runCleanup)
}

func runCleanup(ctx context.Context, o cleanupOptions) error {
	s, err := load(&o.commonOptions, o.readRollback)
	if err != nil {
		return err
	}
	removed, err := versions.Cleanup(ctx, s.store, versions.CleanupOptions{
		OlderThan: o.OlderThan, Keep: o.Keep, RunUUID: o.RunUUID, ScenarioType: o.ScenarioType, DryRun: o.DryRun,
	})
	rest, restErr := versions.CleanRemnants(ctx, s.store.Store, versions.CleanupOptions{
		OlderThan: o.OlderThan, RunUUID: o.RunUUID, ScenarioType: o.ScenarioType, DryRun: o.DryRun,
	})
	err = errors.Join(err, restErr)
	p := &printer{w: s.stdout}
	did := "removed"
	if o.DryRun {
		did = "would be removed"
	} else if len(removed)+len(rest) > 0 {
		p.done = did
	}
	for _, f := range removed {
		p.line("%s: %s, executed %s ago", console.Clean(f.Location), did, age(f.Changed))
	}
	for _, x := range rest {
		p.line("%s: %s, %s", console.Clean(x.Location), did, x.What)
	}
	s.log.Info(fmt.Sprintf("%d version file(s) %s", len(removed), did))
	return errors.Join(err, p.failed())
}
