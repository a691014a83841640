package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

func historyCommand() *cli.Command {
	return &cli.Command{
		Name:      "history",
		Usage:     "show who did what when, across runs",
		UsageText: "ebb history --config FILE [-r UUID] [-s TYPE] [-o text|json]",
		Description: `
Prints the journal of the versions directory: what was flushed, tried, restored,
and by whom. It stays when a successful run removes its files.

Beside an attempt stands what was found: the file as ebb wrote it (written), changed
by hand since (edited), another one under its name (replaced), or one without the
line that could tell (unsealed). -o json has the SHA-256 of each.

` + exitCodes,
		Flags: commonFlags(append(selectionFlags(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "text or json, one object a line"},
		)...),
		Action: history,
	}
}

func history(c *cli.Context) error {
	if err := noOperands(c); err != nil {
		return err
	}
	output := c.String("output")
	if output != "text" && output != "json" {
		return &usageError{err: fmt.Errorf("--output: got %q, want text or json", output)}
	}
	s, err := load(c, config.LoadForRollback)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(s.stdout)
	table := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	filter := versions.Filter{RunUUID: c.String("run_uuid"), ScenarioType: c.String("scenario_type")}
	for entry, err := range s.store.Journal(c.Context, filter) {
		if err != nil {
			// A torn line is what a crash leaves; the others still tell.
			s.log.Warn(err.Error())
			continue
		}
		if output == "json" {
			if err := encoder.Encode(entry); err != nil {
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
	return table.Flush()
}
