package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/hub"
	"github.com/ebb-chaos/ebb/internal/suggest"
)

type hubOptions struct {
	runOptions
	List     bool
	Print    bool
	Dir      string
	Versions string
}

func (o *hubOptions) flags() []cli.Flag {
	own := []cli.Flag{
		&cli.BoolFlag{Name: "list", Destination: &o.List, Usage: "list the scenarios, or the environment variables of the named one"},
		&cli.BoolFlag{Name: "print", Destination: &o.Print, Usage: "print the scenario file and the configuration, write and run nothing"},
		&cli.StringFlag{Name: "dir", Destination: &o.Dir, Usage: "write both files to `DIR`; a new directory for temporary files by default"},
		&cli.StringFlag{Name: "versions-directory", Destination: &o.Versions, Usage: "the versions `DIR`; the configuration's default by default"},
	}
	// This command writes the configuration itself.
	inherited := slices.DeleteFunc(o.runOptions.flags(), func(f cli.Flag) bool { return f.Names()[0] == "config" })
	return append(own, inherited...)
}

func (o *hubOptions) check() error {
	err := errors.Join(o.commonOptions.check(), o.timeOptions.check(), o.reportOptions.check())
	switch {
	case err != nil:
		return err
	case o.List && len(o.operands) <= 1, len(o.operands) == 1:
		return nil
	}
	return &usageError{err: fmt.Errorf("got %d operands, want the name of one scenario", len(o.operands)), hints: []string{o.bare("hub", "--list")}}
}

func hubCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "hub",
		Usage:     "run a scenario as an image of krkn-hub would",
		UsageText: "ebb hub {--list [SCENARIO] | [--print] SCENARIO}",
		Description: `
Takes the environment variables of krkn-hub's image of that name, with their defaults,
writes the scenario file and the configuration that they mean, and runs them. "ebb hub
rollback" undoes the run that RUN_UUID names.

   NAMESPACE=shop DURATION=60 ebb hub application-outages
` + exitHelp(helpUndone, helpRunFailed, helpPending, helpRefused, helpUsage, helpInterrupted),
	}, runHub)
}

func runHub(ctx context.Context, o hubOptions) error {
	if o.List {
		return o.list()
	}
	name := o.operands[0]
	if o.Print {
		files, err := hub.Render(name, os.Getenv, "scenario.yaml", o.Versions)
		if err != nil {
			return o.hubError(err)
		}
		p := &printer{w: o.stdout}
		if files.Scenario != nil {
			p.line("# scenario.yaml: %s\n%s---", files.ScenarioType, files.Scenario)
		}
		p.line("# config.yaml\n%s", strings.TrimRight(string(files.Config), "\n"))
		return p.err
	}
	files, config, err := o.write(name)
	if err != nil {
		return o.hubError(err)
	}
	if files.Debug {
		o.LogLevel = "debug"
	}
	o.operands = nil
	o.Config = config
	o.image = name
	for _, f := range []struct{ name, value string }{{"--dir", o.Dir}, {"--versions-directory", o.Versions}} {
		if f.value != "" {
			o.imageFlags = append(o.imageFlags, f.name, f.value)
		}
	}
	if name == hub.Rollback {
		return runExecute(ctx, executeOptions{
			commonOptions: o.commonOptions, timeOptions: o.timeOptions,
			selectionOptions: selectionOptions{RunUUID: files.RunUUID}, Parallel: 1, Output: "text",
		})
	}
	return runRun(ctx, o.runOptions)
}

// write writes the files of a scenario into a directory that nobody else can read: they may contain
// passwords.
func (o *hubOptions) write(name string) (files *hub.Files, config string, err error) {
	dir := o.Dir
	if _, err = hub.Render(name, os.Getenv, "", o.Versions); err != nil { // before anything is written
		return nil, "", err
	}
	if dir == "" {
		dir, err = os.MkdirTemp("", "ebb-hub-"+name+"-")
	} else if err = os.MkdirAll(dir, 0o700); err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, "", err
	}
	scenario := filepath.Join(dir, name+".yaml")
	if files, err = hub.Render(name, os.Getenv, scenario, o.Versions); err != nil {
		return nil, "", err
	}
	config = filepath.Join(dir, "config.yaml")
	if files.Scenario != nil {
		err = os.WriteFile(scenario, files.Scenario, 0o600)
	}
	return files, config, errors.Join(err, os.WriteFile(config, files.Config, 0o600))
}

// hubError turns an error in the environment or the operand into a usage error.
func (o *hubOptions) hubError(err error) error {
	var unknown *hub.UnknownError
	if errors.As(err, &unknown) {
		if meant := suggest.Nearest(unknown.Name, hub.Names()); meant != "" {
			err = fmt.Errorf("%w; did you mean %q?", err, meant)
		}
		return &usageError{err: err, hints: []string{o.bare("hub", "--list")}}
	}
	return &usageError{err: err}
}

// list prints the scenarios, or the variables of one.
func (o *hubOptions) list() error {
	var b strings.Builder
	found := len(o.operands) == 0
	for _, image := range hub.Images() {
		switch {
		case len(o.operands) == 0:
			help := image.Help
			if image.ScenarioType != "" {
				help += " (" + image.ScenarioType + ")"
			}
			helpEntry(&b, image.Name, help, 26)
		case image.Name == o.operands[0]:
			found = true
			for _, v := range image.Variables {
				fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Default)
			}
		}
	}
	if !found {
		return o.hubError(&hub.UnknownError{Name: o.operands[0]})
	}
	_, err := io.WriteString(o.stdout, b.String())
	return err
}
