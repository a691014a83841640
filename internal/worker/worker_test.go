package worker

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the tests' worker is told, and tells.
type (
	order struct{ Do string }
	event struct{ Said string }
)

// TestMain is the worker of the tests, too.
func TestMain(m *testing.M) {
	marked, err := Take()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if marked {
		inside()
		return
	}
	os.Exit(m.Run())
}

func inside() {
	w, first, err := Open[order, event]()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	said := make(chan string)
	go w.FollowOrders(func(o order) { said <- o.Do })
	switch first.Do {
	case "echo":
		for range 1000 {
			w.Tell(event{"\xff" + <-said})
		}
	case "events, and end":
		for i := range 1000 {
			w.Tell(event{fmt.Sprint(i)})
		}
		os.Exit(7)
	case "kill itself":
		w.Tell(event{"before"})
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {}
	case "panic":
		panic("as it is told")
	case "recurse":
		debug.SetMaxStack(16 << 20) // to grow a stack to the default of 1 GB takes longer than Silence where the machine is busy
		fmt.Fprintln(os.Stderr, recurse(0))
	case "hoard":
		var hoard [][]byte
		for {
			hoard = append(hoard, make([]byte, 1<<20))
			time.Sleep(time.Millisecond)
			_ = hoard
		}
	case "environment":
		out, err := exec.Command("env").Output()
		w.Tell(event{fmt.Sprintf("%v %q %v", strings.Contains(string(out), variable), os.Getenv(variable), err)})
	case "log":
		fmt.Fprintln(os.Stderr, "a line of the log")
	case "leave a child":
		if err := exec.Command("sleep", "5").Start(); err != nil {
			panic(err)
		}
	case "start others", "start others, and hang":
		for _, pid := range startOthers() {
			w.Tell(event{pid})
		}
		if first.Do == "start others" {
			Exit(0)
		}
		fallthrough
	case "stop":
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			panic(err)
		}
		select {}
	case "signals":
		for _, sig := range Signals() {
			if err := syscall.Kill(os.Getpid(), sig.(syscall.Signal)); err != nil {
				panic(err)
			}
		}
		time.Sleep(100 * time.Millisecond)
		w.Tell(event{"heard none"})
	case "start another":
		// A worker that starts one, and is killed: the inner one must not survive it.
		p, err := Start[order, event](Options{Args: os.Args, Output: os.Stdout, Silence: time.Minute, Memory: 1 << 40})
		if err != nil {
			panic(err)
		}
		w.Tell(event{fmt.Sprint(p.cmd.Process.Pid)})
		select {}
	}
	os.Exit(0)
}

// startOthers starts a process that starts another one, and returns the IDs of both.
func startOthers() (pids []string) {
	cmd := exec.Command("sh", "-c", "sleep 600 & echo $! && exec >/dev/null && wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	var inner int
	if _, err := fmt.Fscan(out, &inner); err != nil {
		panic(err)
	}
	return []string{fmt.Sprint(cmd.Process.Pid), fmt.Sprint(inner)}
}

// TestChildren: what a worker has started ends with it, when it ends by itself and when it is killed.
func TestChildren(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("SKIPPED: THERE IS NO /proc HERE")
	}
	for _, do := range []string{"start others", "start others, and hang"} {
		p, err := Start[order, event](Options{Args: []string{"worker"}, Output: os.Stderr, Silence: time.Minute, Memory: 4 << 30})
		if err != nil {
			t.Fatal(err)
		}
		p.Order(order{do})
		var told []string
		p.Wait(func(e event) {
			if told = append(told, e.Said); len(told) == 2 && do != "start others" {
				p.Kill()
			}
		})
		if len(told) != 2 {
			t.Fatalf("%s: got %q, want two processes", do, told)
		}
		for _, pid := range told {
			for deadline := time.Now().Add(time.Minute); running(pid); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: process %s still runs", do, pid)
				}
			}
		}
	}
}

// Who has no list of the kernel's asks ps: both find the same.
func TestDescendantsListedByPS(t *testing.T) {
	if _, err := exec.LookPath("ps"); err != nil {
		t.Skip("NO ps HERE: CHILDREN ARE NOT LOOKED FOR AS ON A MAC")
	}
	var started []int
	pids := startOthers()
	defer func() { killAll(started) }()
	want := below(os.Getpid(), listedByKernel)
	got := below(os.Getpid(), listedByPS())
	for _, pid := range pids {
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		started = append(started, n)
		if !slices.Contains(got, n) || !slices.Contains(want, n) {
			t.Errorf("got %v by ps and %v by the kernel, want process %d among both", got, want, n)
		}
	}
}

// running reports whether a process has not ended. Nobody may have waited for one that has.
func running(pid string) bool {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	return err == nil && !strings.Contains(string(status), "\nState:\tZ")
}

// recurse goes deeper than any stack.
func recurse(n int) int {
	if n < 0 {
		return 0
	}
	return recurse(n+1) + n
}

// run has a worker do something, and returns what it told and how it ended.
func run(t *testing.T, do string, set func(*Options), orders ...string) (told []string, end End) {
	t.Helper()
	log := &tail{}
	o := Options{Args: []string{"worker"}, Output: log, Silence: time.Minute, Memory: 4 << 30}
	if set != nil {
		set(&o)
	}
	p, err := Start[order, event](o)
	if err != nil {
		t.Fatal(err)
	}
	p.Order(order{do})
	for _, text := range orders {
		p.Order(order{text})
	}
	end = p.Wait(func(e event) { told = append(told, e.Said) })
	if text := log.String(); text != "" {
		told = append(told, "log: "+text)
	}
	return told, end
}

// TestEnds has workers end in every way that there is.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		do   string
		set  func(*Options)
		told string // all of it, or the number
		how  string
	}{
		{do: "", how: `^$`},
		{do: "events, and end", told: "1000", how: `^ended \(exit status 7\)$`},
		{do: "kill itself", told: "before", how: `^ended \(signal: killed\)$`},
		{do: "panic", how: `^crashed \(panic: as it is told\)$`},
		{do: "recurse", how: `^crashed \(runtime: goroutine stack exceeds`},
		{do: "hoard", set: func(o *Options) { o.Memory = 64 << 20 }, how: `^used more than 64 MiB of memory$`},
		{do: "stop", set: func(o *Options) { o.Silence = 500 * time.Millisecond }, how: `^did not answer for 500ms$`},
		{do: "environment", told: `false "" <nil>`, how: `^$`},
		{do: "log", told: "log: a line of the log\n", how: `^$`},
		{do: "signals", told: "heard none", how: `^$`},
		{do: "leave a child", how: `^$`},
	} {
		t.Run(c.do, func(t *testing.T) {
			t.Parallel()
			told, end := run(t, c.do, c.set)
			if got := strings.Join(told, "; "); got != c.told && fmt.Sprint(len(told)) != c.told {
				t.Errorf("told %q, want %q", got, c.told)
			}
			if !regexp.MustCompile(c.how).MatchString(end.How) {
				t.Errorf("it %s, want %q; it said:\n%s", end.How, c.how, end.Said)
			}
		})
	}
}

// TestSlowListener: nothing that a worker has told is lost, however long what it told before is handled.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	p, err := Start[order, event](Options{Args: []string{"worker"}, Output: os.Stderr, Silence: time.Minute, Memory: 4 << 30})
	if err != nil {
		t.Fatal(err)
	}
	p.drain = time.Second
	p.Order(order{"events, and end"})
	told := 0
	p.Wait(func(event) {
		if told++; told > 1 {
			return
		}
		for !p.ended.Load() {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(p.drain + 200*time.Millisecond)
	})
	if told != 1000 {
		t.Errorf("got %d events, want all 1000", told)
	}
}

// TestSilence: a worker that can't be heard is not silent. One that can be is ended.
func TestSilence(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process[order, event]{cmd: cmd, silence: 10 * time.Millisecond}
	p.handling.Store(true)
	over := make(chan struct{})
	time.AfterFunc(10*p.silence, func() { close(over) })
	if p.watch(over) {
		t.Error("it was ended while an event of its was handled")
	}
	p.handling.Store(false)
	if !p.watch(make(chan struct{})) {
		t.Error("it was not ended")
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ended by itself")
	}
}

// TestOrders: what is said comes back as it was, also where it is not UTF-8.
func TestOrders(t *testing.T) {
	t.Parallel()
	p, err := Start[order, event](Options{Args: []string{"worker"}, Output: os.Stderr, Silence: time.Minute, Memory: 4 << 30})
	if err != nil {
		t.Fatal(err)
	}
	p.Order(order{"echo"})
	p.Order(order{"0\xfe"})
	var told []string
	end := p.Wait(func(e event) {
		told = append(told, e.Said)
		if len(told) == 2 {
			p.Kill()
			return
		}
		p.Order(order{"1\xfe"})
	})
	if got, want := fmt.Sprintf("%q", told), fmt.Sprintf("%q", []string{"\xff0\xfe", "\xff1\xfe"}); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	if end.How != "ended (signal: killed)" {
		t.Errorf("it %s", end.How)
	}
}

// TestEndsWithParent: a worker ends when the process that started it is killed.
func TestEndsWithParent(t *testing.T) {
	t.Parallel()
	p, err := Start[order, event](Options{Args: []string{"worker"}, Output: os.Stderr, Silence: time.Minute, Memory: 4 << 30})
	if err != nil {
		t.Fatal(err)
	}
	p.Order(order{"start another"})
	var pid int
	p.Wait(func(e event) {
		if _, err := fmt.Sscan(e.Said, &pid); err != nil {
			t.Error(err)
		}
		p.Kill()
	})
	for began := time.Now(); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		// It may be a zombie of ours, or of whoever collects orphans here.
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("process %d outlives the one that started it", pid)
		}
	}
}

// TestMarkByHand: the mark is for the process that is started with it alone.
func TestMarkByHand(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "1", "x"} {
		command := exec.Command(executable())
		command.Args = []string{"worker"}
		command.Env = append(os.Environ(), variable+"="+value)
		out, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(out), fmt.Sprintf("environment variable %s: got %q", variable, value)) {
			t.Errorf("%q: got %v and %q", value, err, out)
		}
	}
}

// TestFewFiles: a limit that is too low is an error, and no page of stacks.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	err := error(&FileLimitError{Limit: 8})
	if got, want := err.Error(), "open files: the limit is 8, want at least 32"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := CheckFileLimit(); err != nil {
		t.Errorf("this process: %v", err)
	}
}
