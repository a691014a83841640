package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/worker"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// A command is a function of its options. Its flags are declared with the options, and the parser
// writes their values into the fields. No command asks the parser for the value of a flag.

// options are parsed from the command line.
type options interface {
	flags() []cli.Flag // their destinations are fields of the options
	check() error      // checks what the parser does not
	called() *invocation
}

// invocation is how the program was called, and where it writes.
type invocation struct {
	*caller
	args     []string // all arguments, with the program's name first
	operands []string
	stdout   io.Writer
	stderr   io.Writer
}

func (i *invocation) called() *invocation { return i }
func (i *invocation) flags() []cli.Flag   { return nil }

// command completes the declaration of a command. It calls run with the options O.
func command[O any, P interface {
	*O
	options
}](c *cli.Command, run func(context.Context, O) error) *cli.Command {
	o := P(new(O))
	c.Flags = o.flags()
	c.Action = func(parsed *cli.Context) error {
		var few *worker.FileLimitError
		if err := worker.CheckFileLimit(); errors.As(err, &few) {
			return &usageError{err: err, hints: few.Hints()}
		}
		operands, err := operandsOf(parsed)
		if err != nil {
			return err
		}
		args := appArgs(parsed.App)
		by := newCaller(parsed, args)
		parsed.App.Metadata[callerKey] = by
		*o.called() = invocation{caller: by, args: args, operands: operands, stdout: parsed.App.Writer, stderr: parsed.App.ErrWriter}
		if err := o.check(); err != nil {
			var usage *usageError
			if !errors.As(err, &usage) {
				usage = &usageError{err: err, hints: []string{by.bare(c.Name, "--help")}}
			}
			return usage
		}
		err = run(parsed.Context, *o)
		if usage, ok := err.(*usageError); ok && len(by.hints(err)) == 0 { //nolint:errorlint // itself, not its cause
			usage.hints = []string{by.bare(c.Name, "--help")}
		}
		return err
	}
	return c
}

// operandsOf returns the operands. It refuses flags among them, which the parser does not see
// there.
func operandsOf(c *cli.Context) ([]string, error) {
	args := c.Args().Slice()
	for i, arg := range args {
		if len(arg) > 1 && arg[0] == '-' && i > 0 {
			all := appArgs(c.App)
			read := all[2:max(2, len(all)-len(args))] // before the first operand
			order := []string{c.Command.Name}
			for _, word := range slices.Concat(read, args[i:], args[:i]) {
				order = append(order, quoted(word))
			}
			return nil, &usageError{
				err:   fmt.Errorf("flag %q comes after an operand, where flags are not read", arg),
				hints: []string{callerOf(all).bare(order...)},
			}
		}
	}
	return args, nil
}

func (i *invocation) noOperands() error {
	if len(i.operands) > 0 {
		return fmt.Errorf("got the operands %q, want none", i.operands)
	}
	return nil
}

// oneFile is for commands with exactly one version file.
func (i *invocation) oneFile(command string) error {
	if len(i.operands) == 1 {
		return nil
	}
	return &usageError{err: fmt.Errorf("got %d operands, want one version file", len(i.operands)), hints: []string{i.next(command, "FILE")}}
}

// commonOptions are those of every command that reads a configuration.
type commonOptions struct {
	invocation
	Config     string // "" if not given
	Kubeconfig string
	Context    string
	LogFormat  string
	LogLevel   string
	NoColor    bool
	Debug      string // Krkn's: true means the log level debug
	Trust      string // "" means: as the configuration says
	storeOptions

	color bool // the log ends at a terminal, and passes through another process
	// logCopy is the file of a capture, "" for none.
	logCopy string
	runs    bool // the command writes version files
	force   bool // read files even if it is not proven that a runner wrote them
}

const defaultConfig = "config/config.yaml"

func (o *commonOptions) flags() []cli.Flag {
	return append(o.storeOptions.flags(), []cli.Flag{
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Destination: &o.Config, DefaultText: defaultConfig, Usage: "Krkn's configuration `FILE`"},
		&cli.StringFlag{Name: "kubeconfig", Destination: &o.Kubeconfig, Usage: "kubeconfig `FILE`, instead of kubeconfig_path"},
		&cli.StringFlag{Name: "context", Destination: &o.Context, Usage: "use this `CONTEXT` of the kubeconfig"},
		&cli.StringFlag{Name: "log-format", Destination: &o.LogFormat, Value: "text", Usage: "text or json"},
		&cli.StringFlag{Name: "log-level", Destination: &o.LogLevel, Value: "info", Usage: "debug, info, warning or error"},
		&cli.StringFlag{Name: "debug", Aliases: []string{"d"}, Destination: &o.Debug, Usage: "`True` is --log-level debug, as in Krkn"},
		&cli.BoolFlag{Name: "no-color", Destination: &o.NoColor, Usage: "no colours; NO_COLOR does the same"},
		&cli.StringFlag{Name: "directory-trust", Destination: &o.Trust, Usage: "which parents of the versions directory to accept: `TRUST` is auto, strict or volume"},
	}...)
}

func (o *commonOptions) check() error {
	// The value is not repeated: it could contain credentials.
	if strings.ContainsAny(o.Kubeconfig, "\n{") {
		return errors.New("--kubeconfig: got the text of a kubeconfig, want the path of its file")
	}
	switch strings.ToLower(o.Debug) {
	case "", "false":
	case "true":
		o.LogLevel = "debug"
	default:
		return fmt.Errorf("--debug: got %q, want True or False", o.Debug)
	}
	if strings.ContainsAny(o.StoreKubeconfig, "\n{") {
		return errors.New("--store-kubeconfig: got the text of a kubeconfig, want the path of its file")
	}
	if _, err := versions.ParseTrust(o.Trust); err != nil {
		return fmt.Errorf("--directory-trust: got %q, want auto, strict or volume", o.Trust)
	}
	return o.storeOptions.check()
}

// trust returns the flag's value or, without one, the configuration's.
func (o *commonOptions) trust(configured versions.Trust) versions.Trust {
	if trust, err := versions.ParseTrust(o.Trust); err == nil && o.Trust != "" {
		return trust
	}
	return configured
}

// configFile returns the path of the configuration to read.
func (o *commonOptions) configFile() string {
	if o.Config == "" {
		return defaultConfig
	}
	return o.Config
}

// readRollback reads the configuration as [config.LoadForRollback] does.
func (o *commonOptions) readRollback() (*config.Config, error) {
	c, err := config.LoadForRollback(o.configFile())
	if o.Config == "" && o.Store == config.StoreCluster && errors.Is(err, fs.ErrNotExist) {
		return noConfig(), nil // the flags are sufficient
	}
	return c, err
}

// noConfig returns the configuration if no file was read.
func noConfig() *config.Config {
	return &config.Config{VersionsDirectory: config.DefaultVersionsDirectory, Events: true, Store: config.Store{Required: true}}
}

// readIfNamed is for commands that are given a version file. Its path tells which store it is in,
// so the configuration is read only if it was named.
func (o *commonOptions) readIfNamed() (*config.Config, error) {
	if o.Config == "" {
		return noConfig(), nil
	}
	return config.LoadForRollback(o.Config)
}

// selectionOptions select version files by run and by scenario type.
type selectionOptions struct {
	RunUUID      string
	ScenarioType string
}

func (o *selectionOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "run_uuid", Aliases: []string{"r"}, Destination: &o.RunUUID, Usage: "only the run with this `UUID`"},
		&cli.StringFlag{Name: "scenario_type", Aliases: []string{"s"}, Destination: &o.ScenarioType, Usage: "only this scenario `TYPE`"},
	}
}

// timeOptions limit how long undoing may take. Zero means the runner's default.
type timeOptions struct {
	Timeout     time.Duration
	FileTimeout time.Duration
	Grace       time.Duration
}

func (o *timeOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "timeout", Destination: &o.Timeout, Value: 5 * time.Minute, Usage: "how long to wait for an API server or a cloud that is down; a replay waits so long in all"},
		&cli.DurationFlag{Name: "file-timeout", Destination: &o.FileTimeout, Value: runner.DefaultFileTimeout, Usage: "how long one file's undo, and then its verify, may take"},
		&cli.DurationFlag{Name: "grace", Destination: &o.Grace, Value: runner.DefaultGrace, Usage: "how long an undo may go on after a signal"},
	}
}

func (o *timeOptions) check() error {
	var errs []error
	for _, limit := range []struct {
		flag  string
		value time.Duration
	}{{"timeout", o.Timeout}, {"file-timeout", o.FileTimeout}, {"grace", o.Grace}} {
		if limit.value <= 0 {
			errs = append(errs, fmt.Errorf("--%s: got %s, want more than 0", limit.flag, limit.value))
		}
	}
	return errors.Join(errs...)
}

// oneOf checks the value of a flag that has a fixed set of values.
func oneOf(flag, got string, want ...string) error {
	for _, w := range want {
		if got == w {
			return nil
		}
	}
	return fmt.Errorf("--%s: got %q, want %s", flag, got, either(want))
}

// either joins words for a sentence: "a, b or c".
func either(words []string) string {
	last := len(words) - 1
	if last <= 0 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// outputFlag declares the flag for the output format. The default is text.
func outputFlag(output *string, usage string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Destination: output, Value: "text", Usage: usage}
}

func forceFlag(force *bool) cli.Flag {
	return &cli.BoolFlag{Name: "force", Destination: force, Usage: "replay files of another cluster, and files that replaced the one that ebb wrote"}
}
