package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

type versionOptions struct{ invocation }

func (o *versionOptions) check() error { return o.noOperands() }

func versionCommand() *cli.Command {
	return command(&cli.Command{Name: "version", Usage: "print the version"}, runVersion)
}

func runVersion(_ context.Context, o versionOptions) error {
	text := "ebb " + version
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				text += " (" + setting.Value[:min(12, len(setting.Value))] + ")"
			}
		}
	}
	_, err := fmt.Fprintf(o.stdout, "%s %s %s/%s\n", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
