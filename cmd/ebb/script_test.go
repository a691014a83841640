package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// TestScript runs testdata/script: the user's documentation, executed. The cluster
// is read by the commands below, never through ebb.
func TestScript(t *testing.T) {
	t.Parallel()
	params := scriptParams(t)
	params.Files = scriptFiles(t, "../../testdata/script", racedScripts)
	testscript.Run(t, params)
}

// scriptParams is what all scripts have: a namespace of their own, and the commands.
func scriptParams(t *testing.T) testscript.Params {
	// Go test has to see what only the ebb that the scripts run is built from: it runs them again if that changes.
	if _, err := os.Stat("armed.go"); err != nil {
		t.Fatal(err)
	}
	admin := sandboxtest.Kubeconfig(t)
	return testscript.Params{
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("EBB_UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			t := env.T().(testing.TB)
			env.Values[testKey{}] = t
			env.Setenv("NS", sandboxtest.Namespace(t))
			env.Setenv("KUBECONFIG", admin)
			env.Setenv("VERSIONS", filepath.Join(env.WorkDir, "versions"))
			setLimits(env)
			return copySteps(env.WorkDir)
		},
		Condition: condition,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"expand":         cmdExpand,
			"apply":          cmdApply,
			"cloud":          cmdCloud,
			"krkn":           cmdKrkn,
			"schema":         cmdSchema,
			"sarif":          cmdSARIF,
			"patch":          cmdPatch,
			"remove":         cmdRemove,
			"objects":        cmdObjects,
			"field":          cmdField,
			"replace":        cmdReplace,
			"json":           cmdJSON,
			"waitfile":       cmdWaitFile,
			"waitgone":       cmdWaitGone,
			"newest":         cmdNewest,
			"user":           cmdUser,
			"login":          cmdLogin,
			"token":          cmdToken,
			"revoke":         cmdRevoke,
			"start":          cmdStart,
			"signal":         cmdSignal,
			"finish":         cmdFinish,
			"exit":           cmdExit,
			"proxy":          cmdProxy,
			"dump":           cmdDump,
			"value":          cmdValue,
			"name":           cmdName,
			"printed":        cmdPrinted,
			"annotate":       cmdAnnotate,
			"inpod":          cmdInPod,
			"waitpod":        cmdWaitPod,
			"read":           cmdRead,
			"netnode":        cmdNetNode,
			"onnode":         cmdOnNode,
			"netstate":       cmdNetState,
			"waitnode":       cmdWaitNode,
			"losenode":       cmdLoseNode,
			"standin":        cmdStandIn,
			"podspec":        cmdPodSpec,
			"machine":        cmdMachine,
			"clock":          cmdClock,
			"node":           cmdNode,
			"freeze":         cmdFreeze,
			"waitlog":        cmdWaitLog,
			"event":          cmdEvent,
			"events":         cmdEvents,
			"recipes":        cmdRecipes,
			"scrape":         cmdScrape,
			"dumpworkloads":  cmdDumpWorkloads,
			"mutant":         cmdMutant,
			"kubelet":        cmdKubelet,
			"shapes":         cmdShapes,
			"kubevirt":       cmdKubeVirt,
			"policykinds":    cmdPolicyKinds,
			"managedcluster": cmdManagedCluster,
		},
	}
}

// condition tells whether the machine has what a line of a script in brackets asks for.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "netem":
		return hasNetem(), nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// setLimits has the processes of a script end and wait as this one does, without colours.
func setLimits(env *testscript.Env) {
	env.Setenv("NO_COLOR", "1")
	env.Setenv("GORACE", raceOptions)
	env.Setenv(requestTimeVariable, requestTime.String())
	env.Setenv(lookTimeVariable, lookTime.String())
	env.Setenv(commandTimeVariable, commandTime.String())
}

// copySteps gives a script the directory steps with the scenario script that most
// of them run: config maps, one step each.
func copySteps(work string) error {
	content, err := os.ReadFile("../../testdata/script/steps.star")
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(work, "steps"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(work, "steps", "steps.star"), content, 0o600)
}

// eventually waits for what is true in the end; the limit only ends a test that fails.
func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// expand FILE... replaces ${NAME} in files by the script's variables.
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		file := ts.MkAbs(name)
		content := os.Expand(ts.ReadFile(name), func(key string) string {
			return ts.Getenv(key)
		})
		ts.Check(os.WriteFile(file, []byte(content), 0o600))
	}
}

// replace FILE PATTERN TEXT edits a file as a person would: the pattern must match.
func cmdReplace(ts *testscript.TestScript, neg bool, args []string) {
	content, re := ts.ReadFile(args[0]), regexp.MustCompile("(?m)"+args[1])
	if !re.MatchString(content) {
		ts.Fatalf("%s has nothing that matches %q; it has:\n%s", args[0], args[1], content)
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(re.ReplaceAllString(content, args[2])), info.Mode()))
}

// json FILE checks that a file, stdout or stderr is one or more JSON values, and nothing else.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	for n := 0; ; n++ {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) && n > 0 {
			return
		}
		if err != nil {
			ts.Fatalf("%s is not JSON: %v", args[0], err)
		}
	}
}

// waitfile FILE PATTERN waits until a file has a line that matches.
func cmdWaitFile(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[1])
	var content []byte
	if !eventually(func() bool {
		content, _ = os.ReadFile(ts.MkAbs(args[0])) // not there yet is fine
		return re.Match(content)
	}) {
		ts.Fatalf("%s never had a line that matches %q; it has:\n%s", args[0], args[1], content)
	}
}

// waitgone KIND waits until the script's namespace has none of a kind.
func cmdWaitGone(ts *testscript.TestScript, neg bool, args []string) {
	if !eventually(func() bool { return len(found(ts, args[0])) == 0 }) {
		ts.Fatalf("still there: %s %q", args[0], found(ts, args[0]))
	}
}

// newest VAR PATTERN puts the last file by name that matches into a variable.
func cmdNewest(ts *testscript.TestScript, neg bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file matches %s", args[1])
	}
	ts.Setenv(args[0], files[len(files)-1])
}

// user RIGHT... makes a user with only these rights in $NS, whose kubeconfig is $KUBECONFIG_USER.
func cmdUser(ts *testscript.TestScript, neg bool, args []string) {
	file, _ := sandboxtest.User(testOf(ts), ts.Getenv("NS"), args...)
	ts.Setenv("KUBECONFIG_USER", file)
}

// proxy start puts a proxy in front of the API server, whose kubeconfig is
// $KUBECONFIG_PROXY; proxy down and proxy up stop and start it; proxy faults METHOD
// FAULT... gives the next requests of a method their faults, proxy all FAULT all that follow;
// proxy nodes NAME has a list of the nodes be one of this node, since others are other scripts'.
func cmdProxy(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: proxy start|down|up|all FAULT|faults METHOD FAULT...|nodes NAME")
	}
	if args[0] == "start" {
		p, file := sandboxtest.FaultProxy(testOf(ts), ts.Getenv("KUBECONFIG"))
		proxies.Store(ts, p)
		ts.Setenv("KUBECONFIG_PROXY", file)
		return
	}
	value, ok := proxies.Load(ts)
	if !ok {
		ts.Fatalf("no proxy: start it first")
	}
	p := value.(*sandboxtest.Proxy)
	switch args[0] {
	case "down":
		ts.Check(p.Stop())
	case "up":
		ts.Check(p.Start())
	case "faults":
		var faults []sandboxtest.Fault
		for _, name := range args[2:] {
			faults = append(faults, faultOf(ts, name))
		}
		p.Script(args[1], faults...)
	case "all":
		fault := faultOf(ts, args[1])
		p.Handle(func(*http.Request) sandboxtest.Fault { return fault })
	case "nodes":
		p.Handle(func(r *http.Request) sandboxtest.Fault { return onlyNode(r, args[1]) })
	default:
		ts.Fatalf("proxy: got %q", args[0])
	}
}

// onlyNode has a list of the nodes be one of a node alone.
func onlyNode(r *http.Request, name string) sandboxtest.Fault {
	if r.Method != http.MethodGet || r.URL.Path != "/api/v1/nodes" {
		return nil
	}
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		query := r.URL.Query()
		query.Set("fieldSelector", "metadata.name="+name)
		r = r.Clone(r.Context())
		r.URL.RawQuery = query.Encode()
		forward.ServeHTTP(w, r)
	}
}

func faultOf(ts *testscript.TestScript, name string) sandboxtest.Fault {
	fault, ok := map[string]sandboxtest.Fault{
		"bare": sandboxtest.Bare, "sidecar": sandboxtest.Sidecar,
		"elsewhere": sandboxtest.Elsewhere, "widened": sandboxtest.Widened, "vegeta": sandboxtest.Vegeta, "vegeta-nobody": sandboxtest.VegetaOfNobody,
		"drop": sandboxtest.Drop, "drop-answer": sandboxtest.DropAnswer, "half-answer": sandboxtest.HalfAnswer, "silent": sandboxtest.Silent, "pass": sandboxtest.Pass,
		"429": sandboxtest.Refuse(429, time.Second), "500": sandboxtest.Refuse(500, 0), "503": sandboxtest.Refuse(503, 0),
	}[name]
	if !ok {
		ts.Fatalf("unknown fault %q", name)
	}
	return fault
}

// What a script has besides its environment, by *testscript.TestScript.
var proxies sync.Map

func testOf(ts *testscript.TestScript) testing.TB { return ts.Value(testKey{}).(testing.TB) }

type testKey struct{}
