package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:      "list-rollback",
		Usage:     "list the version files in a tree",
		UsageText: "ebb list-rollback --config FILE [-r UUID] [-s TYPE] [--pending] [-o tree|json]",
		Description: `
Lists the version files below the versions directory, oldest execution first. A
file that ends in .star is pending, one that ends in .star.executed was restored.
No cluster is needed.

` + exitCodes,
		Flags: commonFlags(append(selectionFlags(),
			&cli.BoolFlag{Name: "pending", Usage: "only what is not restored"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "tree", Usage: "tree or json"},
		)...),
		Action: listRollback,
	}
}

func listRollback(c *cli.Context) error {
	if err := noOperands(c); err != nil {
		return err
	}
	output := c.String("output")
	if output != "tree" && output != "json" {
		return &usageError{err: fmt.Errorf("--output: got %q, want tree or json", output)}
	}
	s, err := load(c, config.LoadForRollback)
	if err != nil {
		return err
	}
	listing, err := s.store.List(c.Context, versions.Filter{
		RunUUID: c.String("run_uuid"), ScenarioType: c.String("scenario_type"), PendingOnly: c.Bool("pending"),
	})
	if err != nil {
		return err
	}
	if c.Bool("pending") {
		listing.Executions = withFiles(listing.Executions)
	}
	s.problems(listing)
	if output == "json" {
		e := json.NewEncoder(console.JSON(s.stdout))
		e.SetIndent("", "  ")
		return e.Encode(listing)
	}
	return console.Tree(s.stdout, tree(s.store.Location(), listing))
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
