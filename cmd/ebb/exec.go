package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

func execCommand() *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "undo one version file; what its first line calls",
		UsageText: "ebb exec [flags] FILE",
		Description: `
Replays one version file of a versions directory. A pending one is renamed to
.executed when it is restored; an executed one is replayed again and keeps its
name. The configuration is read only where --config is given.

` + exitCodes,
		Flags: commonFlags(append(timeFlags(),
			&cli.BoolFlag{Name: "keep-going", Usage: "replay it although a newer file of its execution is pending"},
			&cli.BoolFlag{Name: "force", Usage: "replay on another cluster than the one in the version file, and files that took another's place"},
			&cli.BoolFlag{Name: workerFlag, Hidden: true},
		)...),
		Action: execFile,
	}
}

func execFile(c *cli.Context) error {
	args, err := operands(c)
	if err == nil {
		err = positive(c, "timeout", "file-timeout", "grace")
	}
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return &usageError{err: fmt.Errorf("got %d operands, want one version file", len(args)), hints: []string{"ebb exec FILE"}}
	}
	return task{
		command: "ebb exec " + args[0],
		output:  "text",
		prepare: func() (*setup, replayer, error) {
			s, err := load(c, func(file string) (*config.Config, error) {
				if !c.IsSet("config") {
					return &config.Config{VersionsDirectory: config.DefaultVersionsDirectory}, nil
				}
				return config.LoadForRollback(file)
			})
			if err != nil {
				return nil, nil, err
			}
			var file versions.File
			s.store, file, err = versions.Locate(args[0])
			return s, func(ctx context.Context, r *runner.Runner, sel runner.Selection) (*runner.Report, error) {
				return r.ReplayFile(ctx, file, sel)
			}, err
		},
	}.run(c)
}
