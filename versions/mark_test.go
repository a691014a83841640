package versions

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// How long a request may still land, wherever the clocks went between the kill and the replay.
func TestMarkLeft(t *testing.T) {
	const life = 20 * time.Second
	at := time.Unix(1_800_000_000, 0)
	made := boot{host: "a", id: "boot-1", uptime: time.Hour}
	after := func(d time.Duration) boot { return boot{host: "a", id: "boot-1", uptime: time.Hour + d} }
	rebooted := boot{host: "a", id: "boot-2", uptime: time.Minute}
	elsewhere := boot{host: "b", id: "boot-9", uptime: 1000 * time.Hour}
	unknown := boot{host: "a"}
	whole := Mark{At: at, Until: at.Add(life)}
	for _, test := range []struct {
		name string
		mark Mark
		here boot
		now  time.Duration // of the wall clock, after At
		want time.Duration
	}{
		{"at once", whole.completed(made, at), made, 0, life},
		{"later", whole.completed(made, at), after(5 * time.Second), 5 * time.Second, 15 * time.Second},
		{"over", whole.completed(made, at), after(life), life, 0},
		{"the clock jumped forward", whole.completed(made, at), after(5 * time.Second), 24 * time.Hour, 15 * time.Second},
		{"the clock jumped back", whole.completed(made, at), after(5 * time.Second), -24 * time.Hour, 15 * time.Second},
		{"over, and the clock jumped back", whole.completed(made, at), after(time.Minute), -24 * time.Hour, 0},
		{"the mark was late", whole.completed(boot{"a", "boot-1", time.Hour + 2*time.Second}, at.Add(2*time.Second)), after(5 * time.Second), 0, 15 * time.Second},
		{"made by a clock ahead of this one", whole.completed(after(time.Hour), at), made, 0, life},
		{"rebooted", whole.completed(made, at), rebooted, 2 * time.Minute, 0},
		{"rebooted within the life of a request", whole.completed(made, at), boot{"a", "boot-2", time.Second}, 5 * time.Second, 0},
		{"rebooted, and the clock jumped back", whole.completed(made, at), rebooted, -24 * time.Hour, life},
		{"another machine of the same name, as of a pod that moved", whole.completed(made, at), boot{"a", "boot-9", 1000 * time.Hour}, 5 * time.Second, 15 * time.Second},
		{"another machine", whole.completed(made, at), elsewhere, 5 * time.Second, 15 * time.Second},
		{"another machine, whose clock is ahead", whole.completed(made, at), elsewhere, time.Hour, 0},
		{"another machine, whose clock is behind", whole.completed(made, at), elsewhere, -time.Hour, life},
		{"an older ebb's", whole, after(5 * time.Second), 5 * time.Second, 15 * time.Second},
		{"an older ebb's, over", whole, after(5 * time.Second), time.Hour, 0},
		{"an older ebb's, from the future", whole, after(5 * time.Second), -time.Hour, life},
		{"a system that tells no boot", whole.completed(unknown, at), unknown, 5 * time.Second, 15 * time.Second},
		{"made where the boot is known, read where not", whole.completed(made, at), unknown, 5 * time.Second, 15 * time.Second},
		{"nothing", Mark{}, made, 0, 0},
		{"an end before its begin", Mark{At: at, Until: at.Add(-time.Hour)}, unknown, -2 * time.Hour, 0},
	} {
		line, err := json.Marshal(test.mark)
		if err != nil {
			t.Fatal(err)
		}
		var read Mark
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatal(err)
		}
		if got := read.left(test.here, at.Add(test.now)); got != test.want {
			t.Errorf("%s: got %s left, want %s: %s", test.name, got, test.want, line)
		}
	}
}

// The store fills in what a mark needs; then what the wall clock is set to does not matter.
func TestMarkOutlivesTheWallClock(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("NEEDS LINUX: no other system names its boot")
	}
	d := testDir(t)
	e, err := d.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Flush(t.Context(), "pod", []byte("x")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if _, err := e.MarkInFlight(Mark{Verb: "create", Name: "a", At: now, Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	marks, err := e.InFlight(t.Context())
	if err != nil || len(marks) != 1 {
		t.Fatalf("got %+v, %v, want one mark", marks, err)
	}
	for _, jump := range []time.Duration{-24 * time.Hour, 0, 24 * time.Hour} {
		if left := marks[0].Left(time.Now().Add(jump)); left > time.Hour || left < 59*time.Minute {
			t.Errorf("a clock %s off: got %s left, want an hour less a moment", jump, left)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(e.Location(), markPrefix+"1")); err != nil {
		t.Errorf("the mark of a request that may still land: %v", err)
	}
}

// A mark from the future is waited for once: who had the execution for as long as a request lives,
// forgets it.
func TestMarkFromTheFuture(t *testing.T) {
	d := testDir(t)
	e, err := d.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Flush(t.Context(), "pod", []byte("x")); err != nil {
		t.Fatal(err)
	}
	future := time.Now().Add(24 * time.Hour)
	line, err := json.Marshal(Mark{Verb: "create", Name: "a", At: future, Until: future.Add(time.Minute)}) // as an older ebb made it
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(e.Location(), markPrefix+"1")
	if err := os.WriteFile(mark, line, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		held time.Duration
		gone bool
	}{{59 * time.Second, false}, {time.Minute, true}} {
		opened, err := d.Open(t.Context(), e.ID())
		if err != nil {
			t.Fatal(err)
		}
		held, ok := opened.(*dirExecution)
		if !ok {
			t.Fatalf("got a %T", opened)
		}
		marks, err := opened.InFlight(t.Context())
		if err != nil || len(marks) != 1 || marks[0].Left(time.Now()) != time.Minute {
			t.Fatalf("got %+v, %v, want the mark, with no more left than a request lives", marks, err)
		}
		held.opened = held.opened.Add(-test.held)
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(mark); (err != nil) != test.gone {
			t.Errorf("held for %s: got %v, want that the mark is gone: %v", test.held, err, test.gone)
		}
	}
}
