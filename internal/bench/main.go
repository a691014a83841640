package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const usage = `want one of: run [flags], table FILE, compare OLD NEW, plot FILE DIR`

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("no command: " + usage)
	}
	switch command, rest := args[0], args[1:]; command {
	case "run":
		return runCommand(ctx, rest)
	case "sample":
		return sampleCommand(ctx)
	case "disk-flush":
		return diskFlush(ctx, rest)
	case "store-flush":
		return storeFlush(ctx, strings.Join(rest, " "))
	case "bare":
		return bareCommand(ctx, rest)
	case "table":
		return withReports(rest, 1, func(r []*Report) error { return r[0].table(os.Stdout) })
	case "compare":
		return withReports(rest, 2, func(r []*Report) error { return compare(os.Stdout, r[0], r[1]) })
	case "plot":
		if len(rest) != 2 {
			return errors.New("plot: want the file of a measurement and a directory")
		}
		return withReports(rest[:1], 1, func(r []*Report) error { return r[0].plots(rest[1]) })
	default:
		return fmt.Errorf("got the command %q, %s", command, usage)
	}
}

// withReports reads the files that args name.
func withReports(args []string, want int, do func([]*Report) error) error {
	if len(args) != want {
		return fmt.Errorf("got %d files, want %d", len(args), want)
	}
	var reports []*Report
	for _, name := range args {
		r, err := readReport(name)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	return do(reports)
}

func runCommand(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	ebb := flags.String("ebb", "bin/ebb", "the binary to measure")
	sandbox := flags.String("sandbox", "bin/ebb-sandbox", "the control plane")
	out := flags.String("out", "bin/bench.json", "where the results go")
	only := flags.String("rows", "", "a regular expression: the rows to measure")
	repeats := flags.Int("repeats", 0, "samples of each row, 0 for its own number")
	long := flags.Bool("long", false, "measure the rows that take minutes, too: gone/20000")
	under := flags.String("under", "", "a program, with its arguments, that runs each command of ebb, such as a profiler")
	note := flags.String("note", "", "a remark for the results, such as the version that was measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rows, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, *ebb, *sandbox)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	b.under = strings.Fields(*under)
	report := newReport(*note)
	for _, row := range allRows() {
		if !rows.MatchString(row.Name) || row.long && !*long {
			continue
		}
		if *repeats > 0 {
			row.repeats = *repeats
		}
		result, err := b.measure(ctx, row)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		report.Rows = append(report.Rows, result)
		fmt.Fprintln(os.Stderr, result.line())
		// After each: what was measured is kept when a later row fails.
		if err := report.write(*out); err != nil {
			return err
		}
	}
	return report.table(os.Stdout)
}
