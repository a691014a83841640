package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

type watchOptions struct {
	commonOptions
	timeOptions
	Replay bool
	Listen string
}

func (o *watchOptions) flags() []cli.Flag {
	return slices.Concat([]cli.Flag{
		&cli.BoolFlag{Name: "replay", Destination: &o.Replay, Usage: "undo what dead runners left; without this flag, only report it"},
		&cli.StringFlag{Name: "listen", Destination: &o.Listen, Usage: "serve /metrics and /healthz at `ADDRESS`, such as :9090; off by default"},
	}, o.timeOptions.flags(), o.commonOptions.flags())
}

func (o *watchOptions) check() error {
	return errors.Join(o.noOperands(), o.commonOptions.check(), o.timeOptions.check())
}

func watchCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "watch",
		Usage:     "find, and undo, what dead runners left in the cluster",
		UsageText: "ebb watch [-c FILE] [--replay] [--listen ADDRESS]",
		Description: `
Watches the store in the cluster. A runner whose Lease has not changed for 60 s is
dead. The watch reports it in its log, by an Event on each object that is to be
restored, and in its metrics. With --replay it undoes what the runner left, verifies
it, and verifies it once more 15 s later.

Several watches elect a leader, which does the work. A watch needs the public keys of
the runners. If it lacks the credentials for an undo, it says so.
` + exitHelp(exitLine{exitDone, "ended by a signal"}, helpFailed, helpUsage),
	}, runWatch)
}

// watcher looks at the store while it is the leader.
type watcher struct {
	*setup
	options *watchOptions
	store   *clusterstore.Store
	target  func() (*kube.Client, error) // opened when it is first needed
	times   clusterstore.Times
	metrics *metrics

	told     map[string]bool      // executions that were announced
	keysSaid string               // why the public keys could not be read again; "" if they could
	retry    map[string]time.Time // executions that could not be restored, and when to try again
}

// lookPart sets how often a watch looks: the duration of a Lease, divided by this. That is every 5
// s.
const lookPart = 12

func runWatch(ctx context.Context, o watchOptions) error {
	if o.Store == "" || o.Store == config.StoreBoth {
		o.Store = config.StoreCluster // only a store in a cluster can be watched
	}
	s, err := load(&o.commonOptions, o.readRollback)
	if err != nil {
		return err
	}
	store, ok := s.store.Store.(*clusterstore.Store)
	if !ok {
		return &usageError{err: fmt.Errorf("--store: got %q, want %s", o.Store, config.StoreCluster)}
	}
	w := &watcher{
		setup: s, options: &o, store: store, times: s.store.settings.Times, metrics: newMetrics(),
		told: map[string]bool{}, retry: map[string]time.Time{}, target: s.openTarget(&o.commonOptions),
	}
	if w.times.Lease == 0 {
		w.times.Lease = time.Minute
	}
	if w.times.Settle == 0 {
		w.times.Settle = 15 * time.Second
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer onSignals(o.Grace, func(sig string) { cancel(errors.New(sig)) }, func(why string) {
		s.log.Error(why + ": exiting at once")
		os.Exit(exitPending)
	})()
	if o.Listen != "" {
		listener, err := net.Listen("tcp", o.Listen)
		if err != nil {
			return &usageError{err: err}
		}
		defer w.metrics.serve(listener, s.log)()
		s.log.Info(fmt.Sprintf("metrics and health at http://%s", listener.Addr()))
	}
	w.lead(ctx)
	return nil
}

// openTarget opens the cluster that scenarios change, at the first call.
func (s *setup) openTarget(o *commonOptions) func() (*kube.Client, error) {
	var client *kube.Client
	return func() (*kube.Client, error) {
		if client != nil {
			return client, nil
		}
		path, err := config.KubeconfigPath(s.target(o))
		var c *rest.Config
		if err == nil {
			c, err = loadConfig(path, o.Context)
		}
		if err == nil {
			client, err = kube.New(c, kube.Options{Patience: bothPatience, UserAgent: "ebb/" + version})
		}
		return client, err
	}
}

// lead looks at the store while this watch is the leader, and otherwise waits for its turn.
func (w *watcher) lead(ctx context.Context) {
	w.log.Info(fmt.Sprintf("waiting to lead: %s of %s", w.store.Location(), w.store.Server()))
	w.store.Lead(ctx, clusterstore.Leader{
		Name:  "ebb-watch",
		Work:  w.work,
		Other: func(identity string) { w.log.Info("watching is " + identity) },
	})
}

// work looks at the store at regular intervals.
func (w *watcher) work(ctx context.Context) {
	w.metrics.leads(true)
	defer context.AfterFunc(ctx, func() { w.metrics.leads(false) })()
	defer w.metrics.leads(false)
	mode := "announcing what dead runners left; --replay undoes it"
	if w.options.Replay {
		mode = "undoing what dead runners left"
	}
	w.log.Info(fmt.Sprintf("watching %s of %s: %s", w.store.Location(), w.store.Server(), mode))
	said := ""
	for ctx.Err() == nil {
		failed := ""
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			failed = err.Error()
		}
		switch {
		case failed != "" && failed != said:
			w.log.Error("the store can't be looked at: " + failed)
		case failed == "" && said != "":
			w.log.Info("the store can be looked at again")
		}
		said = failed
		if patience.Sleep(ctx, w.times.Lease/lookPart) != nil {
			return
		}
	}
}

// look reads the store once.
func (w *watcher) look(ctx context.Context) error {
	sights, problems, err := w.store.Look(ctx)
	if err != nil {
		return err
	}
	for _, p := range problems {
		if !w.told[p.Location] {
			w.told[p.Location] = true
			w.log.Warn(fmt.Sprintf("%s: %s", p.Location, p.What))
		}
	}
	if slices.ContainsFunc(sights, func(x clusterstore.Sight) bool { return x.Dead || !x.Held }) {
		w.readKeys()
	}
	dead := 0
	for _, x := range sights {
		at, again := w.retry[x.ID]
		switch {
		case x.Dead:
			dead++
			w.tell(ctx, x)
			if again && time.Now().Before(at) { // its Lease could not be taken the last time
				continue
			}
		case again && !x.Held && time.Now().After(at):
		default:
			continue
		}
		if w.options.Replay && ctx.Err() == nil {
			w.replay(ctx, x)
		}
	}
	w.metrics.looked(len(sights), dead)
	return nil
}

// readKeys reads the public keys again: a watch runs longer than a key is in use.
func (w *watcher) readKeys() {
	fresh, err := w.storeSettings(&w.options.commonOptions, false)
	said := ""
	if err != nil {
		if said = err.Error(); said != w.keysSaid {
			w.log.Warn(fmt.Sprintf("the public keys are as they were when they could be read last: %v", err))
		}
	} else {
		w.setup.store.settings.Public = fresh.Public
		w.store.Trust(fresh.Public...)
	}
	w.keysSaid = said
}

// replay undoes one execution in a worker. It looks once more when every request that the dead
// runner may have sent must have arrived.
func (w *watcher) replay(ctx context.Context, x clusterstore.Sight) {
	var keys []string
	for _, f := range x.Files {
		keys = append(keys, f.Key())
	}
	report, err := w.supervised(ctx, runner.ReplayOptions{RunUUID: x.RunUUID, Only: keys})
	if err == nil && report.Pending()+report.Refused() == 0 && patience.Sleep(ctx, w.times.Settle) == nil {
		var again *runner.Report
		if again, err = w.supervised(ctx, runner.ReplayOptions{RunUUID: x.RunUUID, Only: keys, Verify: true}); err == nil && again.Pending() > 0 {
			w.log.Error(fmt.Sprintf("%s was restored, and is not any more: something that the runner had sent landed later", x.ID))
			report = again
		}
	}
	if err != nil {
		w.log.Error(fmt.Sprintf("%s is not restored: %v", x.ID, err))
	} else {
		for _, result := range report.Results {
			w.metrics.replayed(string(result.Outcome))
			w.sayUndoable(result)
		}
	}
	if err == nil && report.Pending()+report.Refused() == 0 {
		w.log.Info(fmt.Sprintf("restored %s, which %s had left", x.ID, holderText(x)))
		delete(w.retry, x.ID)
		return
	}
	w.retry[x.ID] = time.Now().Add(w.times.Lease * 5)
	w.log.Error(fmt.Sprintf("%s is not all restored: trying again in %s", x.ID, w.times.Lease*5))
}

// sayUndoable says which part of a file nobody can undo from here.
func (w *watcher) sayUndoable(result runner.Result) {
	switch runner.KindOf(result.Err) {
	case runner.KindCredentials:
		w.log.Error(fmt.Sprintf("can't undo %s: there are no credentials for it here: %v", result.File.Location, result.Err))
	case runner.KindForbidden, runner.KindRights:
		w.log.Error(fmt.Sprintf("can't undo %s: a right is missing here: %v", result.File.Location, result.Err))
	case runner.KindUnsigned:
		w.log.Error(fmt.Sprintf("won't undo %s: %v", result.File.Location, result.Err))
	}
}

func (w *watcher) supervised(ctx context.Context, o runner.ReplayOptions) (*runner.Report, error) {
	settings := w.settings(&w.options.commonOptions, w.options.timeOptions)
	settings.TotalPatience = w.options.Timeout
	settings.Store.Observed = w.store.Observations()
	v, err := supervisor.New(buildRunner, settings, supervisor.Options{
		Log: w.log, Output: w.options.stderr, Args: w.options.args, Memory: maxMemory, Abort: w.abort,
	})
	if err != nil {
		return nil, err
	}
	return v.Replay(ctx, o)
}

func holderText(x clusterstore.Sight) string {
	if x.Holder.PID == 0 {
		return "a process"
	}
	return fmt.Sprintf("PID %d (%s) on host %q", x.Holder.PID, x.Holder.Command, x.Holder.Host)
}
