package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
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
needed. -o wide and -o json list the newest first; -o json has an object a line for
each execution.

-o wide has a line for each file: its age; the process that uses it (live) or the user
that wrote it; whether it was edited; the cluster, the scenario file and the objects
that it undoes; and the outcome of its last replay.
` + exitHelp(helpDone, helpFailed, helpRefused, helpSomeToDo, helpUsage),
	}, runList)
}

const listGCPercent = 40

func runList(ctx context.Context, o listOptions) error {
	s, err := load(&o.commonOptions, o.readRollback)
	if err != nil {
		return err
	}
	if s.store.settings.Kind == config.StoreDirectory {
		// Most of what a long list allocates is garbage at once. Collect it often.
		defer debug.SetGCPercent(debug.SetGCPercent(listGCPercent))
	}
	stream := console.NewStream(s.stdout)
	p, err := s.listPrinter(ctx, stream, o.Output)
	if err != nil {
		return err
	}
	// The tree is in the order of the directory: by name, and so by age. The other formats begin
	// with the files that users mostly look for.
	filter := versions.Filter{
		RunUUID: o.RunUUID, ScenarioType: o.ScenarioType, PendingOnly: o.Pending, OldestFirst: o.Output == "tree",
	}
	l := listing{printer: p, filesOnly: o.Pending}
	if err = l.each(versions.Executions(ctx, s.store.Store, filter)); err == nil {
		err = p.end()
	}
	if err = cmp.Or(err, stream.Flush()); err != nil {
		return err
	}
	s.problems(l.problems)
	// A filter that matches nothing is not an error of a list, but it may be a typing error.
	if o.RunUUID != "" || o.ScenarioType != "" {
		if _, _, err := s.selected(ctx, o.selectionOptions); err != nil {
			s.log.Warn(err.Error())
		}
	}
	s.sayElsewhere(ctx)
	s.sayKrkns(l.krkns)
	hidden := slices.ContainsFunc(l.problems, func(p versions.Problem) bool { return p.Hides })
	if o.ExitCode && (l.ours+l.krkns > 0 || hidden) {
		return outcomeError(exitSomeToDo)
	}
	return nil
}

// listPrinter prints each entry of a list as it is read.
type listPrinter interface {
	execution(versions.ExecutionInfo) error
	problem(versions.Problem) error // of the store
	end() error
}

func (s *setup) listPrinter(ctx context.Context, w io.Writer, output string) (listPrinter, error) {
	switch output {
	case "wide":
		return s.newWide(ctx, w)
	case "json":
		return &jsonList{json.NewEncoder(console.JSON(w))}, nil
	}
	tree, err := console.NewTree(w, s.store.Location()+"/")
	return &treeList{tree}, err
}

// listing is the summary at the end of a list.
type listing struct {
	printer     listPrinter
	filesOnly   bool // leave out executions that have no files to show
	problems    []versions.Problem
	ours, krkns int // pending
}

func (l *listing) each(executions iter.Seq2[versions.ExecutionInfo, error]) error {
	for x, err := range executions {
		var entry *versions.EntryError
		switch {
		case errors.As(err, &entry):
			l.problems = append(l.problems, entry.Problem)
			err = l.printer.problem(entry.Problem)
		case err == nil && (!l.filesOnly || len(x.Files)+len(x.Problems) > 0):
			l.problems = append(l.problems, x.Problems...)
			ours, krkns := x.Pending()
			l.ours, l.krkns = l.ours+ours, l.krkns+krkns
			err = l.printer.execution(x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type treeList struct{ *console.Tree }

func (t *treeList) execution(x versions.ExecutionInfo) error {
	node := console.Node{Text: x.ID, Children: make([]console.Node, 0, len(x.Files))}
	for _, f := range slices.Backward(x.Files) {
		node.Children = append(node.Children, console.Node{Text: f.Name})
	}
	return t.Add(node)
}

func (t *treeList) problem(versions.Problem) error { return nil }
func (t *treeList) end() error                     { return t.Close() }

// jsonList prints one document a line.
type jsonList struct{ *json.Encoder }

func (j *jsonList) execution(x versions.ExecutionInfo) error {
	return j.Encode(listDocument{head{listVersion, "list"}, x})
}

func (j *jsonList) problem(p versions.Problem) error {
	return j.Encode(listProblemDocument{head{listVersion, "list problem"}, p})
}

func (j *jsonList) end() error { return nil }

// problems reports the entries of the store that can't be read. They don't hide the other entries.
func (s *setup) problems(all []versions.Problem) {
	for _, p := range all {
		text := fmt.Sprintf("%s: %s", p.Location, p.What)
		if p.Remedy != "" {
			text += "; " + p.Remedy
		}
		s.log.Warn(text)
	}
}

// problemsOf returns all problems of a listing.
func problemsOf(listing versions.Listing) []versions.Problem {
	all := slices.Clone(listing.Problems)
	for _, x := range listing.Executions {
		all = append(all, x.Problems...)
	}
	return all
}
