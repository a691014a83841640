package versions

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var page = Seal(bytes.Repeat([]byte("# a line of a version file\n"), 60))

func benchExecution(b *testing.B) (*Dir, Execution) {
	b.Helper()
	d := testDir(b)
	e, err := d.Begin(b.Context(), "run")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return d, e
}

func BenchmarkFlush(b *testing.B) {
	_, e := benchExecution(b)
	for b.Loop() {
		if _, err := e.Flush(b.Context(), "pod", page); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareFlush is the least that a durable write can do, in the same kind of directory.
func BenchmarkBareFlush(b *testing.B) {
	_, e := benchExecution(b)
	dir, err := os.Open(e.Location())
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		temp := filepath.Join(dir.Name(), fmt.Sprintf(".tmp-%d", i))
		f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(temp, filepath.Join(dir.Name(), fmt.Sprintf("pod_%d_abcdefgh.star", i))); err != nil {
			b.Fatal(err)
		}
		if err := dir.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	if err := dir.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkProbe(b *testing.B) {
	_, e := benchExecution(b)
	for b.Loop() {
		if err := e.Probe(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMark(b *testing.B) {
	_, e := benchExecution(b)
	m := Mark{Verb: "create", Kind: "Pod", Namespace: "ns", Name: "memory-hog-ngdjp", At: time.Now(), Until: time.Now().Add(15 * time.Second)}
	for b.Loop() {
		unmark, err := e.MarkInFlight(m)
		if err != nil {
			b.Fatal(err)
		}
		if err := unmark(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	d := testDir(b)
	for b.Loop() {
		if err := d.Append(b.Context(), Entry{Event: EventFlushed, RunUUID: "run", ScenarioType: "pod", File: "pod_1_abcdefgh.star"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList lists 100,000 files in directories of one, a hundred and a thousand; -short a
// hundredth of them.
func BenchmarkList(b *testing.B) {
	total := 100_000
	if testing.Short() {
		total /= 100
	}
	for _, each := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%dx%d", total/each, each), func(b *testing.B) {
			d := testDir(b)
			for i := range total / each {
				dir := filepath.Join(d.path, fmt.Sprintf("%d-run", i+1))
				if err := os.MkdirAll(dir, 0o700); err != nil {
					b.Fatal(err)
				}
				for j := range each {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("pod_%d_abcdefgh.star", j+1)), []byte("x"), 0o700); err != nil {
						b.Fatal(err)
					}
				}
			}
			for b.Loop() {
				listing, err := d.List(b.Context(), Filter{})
				if err != nil || len(listing.Executions) != total/each {
					b.Fatalf("got %d executions, %v", len(listing.Executions), err)
				}
			}
		})
	}
}

// BenchmarkBareMark is the least that a note in a file of its own can cost.
func BenchmarkBareMark(b *testing.B) {
	_, e := benchExecution(b)
	path := filepath.Join(e.Location(), markPrefix+"1")
	for b.Loop() {
		if err := os.WriteFile(path, page[:200], 0o600); err != nil {
			b.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			b.Fatal(err)
		}
	}
}
