// Command embed shows how a Go program runs chaos and undoes it with ebb as a library.
//
//	embed -kubeconfig FILE -versions DIR -namespace NS -name NAME break     changes a config map, and is killed
//	embed -kubeconfig FILE -versions DIR restore                            undoes what was left
//
// Its scenario is its own: scenarios/paint.star, which is embedded into the program.
package main

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

//go:embed scenarios/*.star
var embedded embed.FS

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig `FILE`")
	directory := flag.String("versions", "", "versions `DIR`")
	namespace := flag.String("namespace", "default", "`NAMESPACE` of the config map")
	name := flag.String("name", "", "`NAME` of the config map")
	flag.Parse()
	// The first Ctrl-C undoes what was begun.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "break":
		err = breakIt(ctx, *kubeconfig, *directory, *namespace, *name)
	case "restore":
		err = restore(ctx, *kubeconfig, *directory)
	default:
		err = fmt.Errorf("got command %q, want break or restore", flag.Arg(0))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// newRunner returns a runner that keeps its version files in a directory.
func newRunner(kubeconfig, directory string, hooks runner.Hooks) (*runner.Runner, error) {
	store, err := versions.NewDir(directory)
	if err != nil {
		return nil, err
	}
	scenarios, err := fs.Sub(embedded, "scenarios")
	if err != nil {
		return nil, err
	}
	return runner.New(store, runner.Options{
		Cluster: func() (*rest.Config, error) { return clientcmd.BuildConfigFromFlags("", kubeconfig) },
		Scripts: []runner.ScriptDir{{Name: "embedded", FS: scenarios}},
		Log:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Hooks:   hooks,
	})
}

// breakIt runs the scenario, and dies as by a power cut as soon as the cluster has changed.
func breakIt(ctx context.Context, kubeconfig, directory, namespace, name string) error {
	r, err := newRunner(kubeconfig, directory, runner.Hooks{Reached: func(p runner.Point) {
		if p == runner.AfterChange {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				log.Fatal(err)
			}
		}
	}})
	if err != nil {
		return err
	}
	scenario := fmt.Appendf(nil, "namespace: %q\nname: %q\n", namespace, name)
	scenarios, err := r.Prepare(ctx, []runner.ScenarioFile{{Type: "paint_scenarios", Path: "paint", Data: scenario, From: "embed"}}, false)
	if err != nil {
		return err
	}
	report, err := r.Run(ctx, scenarios, runner.RunOptions{})
	if err != nil {
		return err
	}
	return report.Scenarios[0].Err
}

// restore undoes what is pending and says what came of it.
func restore(ctx context.Context, kubeconfig, directory string) error {
	r, err := newRunner(kubeconfig, directory, runner.Hooks{})
	if err != nil {
		return err
	}
	report, err := r.Replay(ctx, runner.ReplayOptions{})
	if err != nil {
		return err
	}
	for _, result := range report.Results {
		fmt.Printf("%s: %s\n", result.File.Name, result.Outcome)
		if result.Err != nil {
			fmt.Printf("  %s: %v\n", runner.KindOf(result.Err), result.Err)
		}
		for _, hint := range runner.HintsOf(result.Err) {
			fmt.Println("  hint:", hint)
		}
	}
	if report.Pending()+report.Refused() > 0 {
		return fmt.Errorf("%d version files are not restored", report.Pending()+report.Refused())
	}
	return nil
}
