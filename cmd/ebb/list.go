package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

type listOptions struct {
	commonOptions
	selectionOptions
	Pending  bool
	ExitCode bool
	Output   string
}

func (o *listOptions) flags() []cli.Flag {
	return slices.Concat(o.selectionOptions.flags(), []cli.Flag{
		&cli.BoolFlag{Name: "pending", Destination: &o.Pending, Usage: "only what is not restored"},
		&cli.BoolFlag{Name: "exit-code", Destination: &o.ExitCode, Usage: "exit with 5 if a listed file is pending"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Destination: &o.Output, Value: "tree", Usage: "tree, wide or json"},
	}, o.commonOptions.flags())
}

func (o *listOptions) check() error {
	return errors.Join(o.noOperands(), o.commonOptions.check(), oneOf("output", o.Output, "tree", "wide", "json"))
}

func listCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "list-rollback",
		Usage:     "list the version files in a tree",
		UsageText: "ebb list-rollback [-r UUID] [-s TYPE] [--pending] [-o tree|wide|json]",
		Description: `
Lists the version files in the versions directory, oldest execution first. A file
named *.star is pending, and one named *.star.executed is restored. No cluster is
needed.

-o wide has a line for each file: its age; who is at work on it (live), or wrote it;
whether it was edited; the cluster, the scenario file, the objects that it undoes; and
what came of it the last time.
` + exitHelp(helpDone, helpFailed, helpRefused, helpSomeToDo, helpUsage),
	}, runList)
}

func runList(ctx context.Context, o listOptions) error {
	s, err := load(&o.commonOptions, o.readRollback)
	if err != nil {
		return err
	}
	listing, err := s.store.List(ctx, versions.Filter{
		RunUUID: o.RunUUID, ScenarioType: o.ScenarioType, PendingOnly: o.Pending,
	})
	if err != nil {
		return err
	}
	if o.Pending {
		listing.Executions = withFiles(listing.Executions)
	}
	s.problems(listing)
	switch o.Output {
	case "wide":
		err = s.printWide(ctx, listing)
	case "json":
		err = writeJSON(s.stdout, listDocument{head{documentVersion, "list"}, listing})
	default:
		err = console.Tree(s.stdout, tree(s.store.Location(), listing))
	}
	if err != nil {
		return err
	}
	// A filter that matches nothing is no error of a list, but it may be a slip.
	if o.RunUUID != "" || o.ScenarioType != "" {
		if _, _, err := s.selected(ctx, o.selectionOptions); err != nil {
			s.log.Warn(err.Error())
		}
	}
	s.sayElsewhere(ctx)
	ours, krkns := pending(listing)
	s.sayKrkns(krkns)
	if o.ExitCode && ours+krkns > 0 {
		return outcomeError(exitSomeToDo)
	}
	return nil
}

// withFiles leaves out the executions that have no file to show.
func withFiles(all []versions.ExecutionInfo) []versions.ExecutionInfo {
	var some []versions.ExecutionInfo
	for _, x := range all {
		if len(x.Files) > 0 || len(x.Problems) > 0 {
			some = append(some, x)
		}
	}
	return some
}

// problems says what is wrong with entries of the store, which hides no others.
func (s *setup) problems(listing versions.Listing) {
	warn := func(p versions.Problem) {
		text := fmt.Sprintf("%s: %s", p.Location, p.What)
		if p.Remedy != "" {
			text += "; " + p.Remedy
		}
		s.log.Warn(text)
	}
	for _, p := range listing.Problems {
		warn(p)
	}
	for _, x := range listing.Executions {
		for _, p := range x.Problems {
			warn(p)
		}
	}
}

// tree prints as the directory does: by name, which is by age.
func tree(location string, listing versions.Listing) console.Node {
	root := console.Node{Text: location + "/"}
	for i := len(listing.Executions) - 1; i >= 0; i-- {
		x := listing.Executions[i]
		node := console.Node{Text: x.ID}
		for j := len(x.Files) - 1; j >= 0; j-- {
			node.Children = append(node.Children, console.Node{Text: x.Files[j].Name})
		}
		root.Children = append(root.Children, node)
	}
	return root
}
