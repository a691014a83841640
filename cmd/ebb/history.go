package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

type historyOptions struct {
	commonOptions
	selectionOptions
	Output string
}

func (o *historyOptions) flags() []cli.Flag {
	return slices.Concat(o.selectionOptions.flags(), []cli.Flag{
		outputFlag(&o.Output, "text or json, one object a line"),
	}, o.commonOptions.flags())
}

func (o *historyOptions) check() error {
	return errors.Join(o.noOperands(), o.commonOptions.check(), oneOf("output", o.Output, "text", "json"))
}

func historyCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "history",
		Usage:     "show who did what and when, in all runs",
		UsageText: "ebb history [-c FILE] [-r UUID] [-s TYPE] [-o text|json]",
		Description: `
Prints the journal of the versions directory: what was written, tried and restored,
when and by whom. It stays when a successful run removes its version files.

Each attempt has the state of its file: as ebb wrote it (written), changed by hand
(edited), another file under the same name (replaced), or without its checksum line
(unsealed). -o json has the SHA-256 of each.
` + exitHelp(helpDone, helpFailed, helpRefused, helpUsage),
	}, runHistory)
}

func runHistory(ctx context.Context, o historyOptions) error {
	s, err := load(&o.commonOptions, o.readRollback)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(console.JSON(s.stdout))
	table := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	filter := versions.Filter{RunUUID: o.RunUUID, ScenarioType: o.ScenarioType}
	found := false
	for entry, err := range s.store.Journal(ctx, filter) {
		var torn *versions.JournalError
		switch {
		case errors.As(err, &torn):
			// A crash can leave such a line. The other lines are still valid.
			s.log.Warn(err.Error())
			continue
		case err != nil:
			return errors.Join(table.Flush(), err)
		}
		found = true
		if o.Output == "json" {
			if err := encoder.Encode(historyDocument{head{documentVersion, "journal entry"}, entry}); err != nil {
				return err
			}
			continue
		}
		cells := []string{
			entry.Time.Local().Format("2006-01-02 15:04:05"), entry.Event, cmp.Or(entry.Outcome, string(entry.Integrity)), entry.RunUUID, entry.File,
			fmt.Sprintf("%s@%s", entry.User, entry.Host), entry.Message,
		}
		for i := range cells {
			cells[i] = console.Clean(cells[i])
		}
		if _, err := fmt.Fprintln(table, strings.TrimRight(strings.Join(cells, "\t"), "\t")); err != nil {
			return err
		}
	}
	if !found && (o.RunUUID != "" || o.ScenarioType != "") {
		// Not an error, but it may be a typing error.
		s.log.Warn("the journal has no entry of what was asked for")
		if _, _, err := s.selected(ctx, o.selectionOptions); err != nil {
			s.log.Warn(err.Error())
		}
	}
	return table.Flush()
}
