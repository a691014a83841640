package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func init() {
	kinds["secrets"] = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	kinds["leases"] = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
}

// freeze NAME stops a process and its workers, as a machine that sleeps does; ! freeze NAME wakes them.
func cmdFreeze(ts *testscript.TestScript, neg bool, args []string) {
	pid := strconv.Itoa(processOf(ts, args[0]).cmd.Process.Pid)
	lists, err := filepath.Glob("/proc/" + pid + "/task/*/children") // each thread has its own
	ts.Check(err)
	family := pid
	for _, list := range lists {
		children, err := os.ReadFile(list)
		ts.Check(err)
		family += " " + string(children)
	}
	sig := syscall.SIGSTOP
	if neg {
		sig = syscall.SIGCONT
	}
	for _, text := range strings.Fields(family) {
		number, err := strconv.Atoi(text)
		ts.Check(err)
		ts.Check(syscall.Kill(number, sig))
	}
}

// waitlog NAME PATTERN... waits until the log of a process has each of the patterns.
func cmdWaitLog(ts *testscript.TestScript, neg bool, args []string) {
	for _, pattern := range args[1:] {
		if p := regexp.MustCompile(pattern); !eventually(func() bool { return p.MatchString(ts.ReadFile(args[0] + ".err")) }) {
			ts.Fatalf("the log of %s has no %q:\n%s", args[0], pattern, ts.ReadFile(args[0]+".err"))
		}
	}
}

// event REASON KIND waits until there is such an Event on an object of a kind in $NS.
func cmdEvent(ts *testscript.TestScript, neg bool, args []string) {
	if !eventually(func() bool {
		events, err := clientset(ts).CoreV1().Events(ts.Getenv("NS")).List(context.Background(), metav1.ListOptions{FieldSelector: "reason=" + args[0]})
		ts.Check(err)
		return len(events.Items) == 1 && events.Items[0].InvolvedObject.Kind == args[1]
	}) {
		ts.Fatalf("there is not one Event %s on a %s", args[0], args[1])
	}
}

var servedAt = regexp.MustCompile(`metrics and health at (http://\S+)`)

// scrape NAME PATH PATTERN... reads what a watch serves until it has each of the patterns.
func cmdScrape(ts *testscript.TestScript, neg bool, args []string) {
	found := servedAt.FindStringSubmatch(ts.ReadFile(args[0] + ".err"))
	if found == nil {
		ts.Fatalf("%s serves nothing", args[0])
	}
	for _, pattern := range args[2:] {
		p, text := regexp.MustCompile(pattern), ""
		if !eventually(func() bool {
			answer, err := http.Get(found[1] + args[1])
			ts.Check(err)
			body, err := io.ReadAll(answer.Body)
			ts.Check(err)
			ts.Check(answer.Body.Close())
			text = string(body)
			return p.MatchString(text)
		}) {
			ts.Fatalf("%s says, without %q:\n%s", args[1], pattern, text)
		}
	}
}
