package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/pflag"
)

func runVersion(args []string, stdout io.Writer) error {
	flags := pflag.NewFlagSet("version", pflag.ContinueOnError)
	if err := parseFlags(flags, args, "ebb-sandbox version prints the versions of what it is made of.\n", stdout); err != nil {
		return err
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("the binary holds no build information")
	}
	for _, part := range []struct{ name, module string }{
		{"kubernetes", "k8s.io/kubernetes"},
		{"etcd", "go.etcd.io/etcd/server/v3"},
		{"kwok", "sigs.k8s.io/kwok"},
	} {
		version := "unknown"
		for _, m := range info.Deps {
			if m.Path == part.module {
				version = m.Version
			}
		}
		if _, err := fmt.Fprintf(stdout, "%-10s %s\n", part.name, version); err != nil {
			return err
		}
	}
	return nil
}
