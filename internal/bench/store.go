package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/versions"
)

// firstStamp is the timestamp of the first execution that fill makes.
const firstStamp = 1_700_000_000_000_000_000

// fill makes a versions directory with one execution a copy, as runs that were killed leave it. It
// does not wait for the disk.
func fill(path string, copies []*copied) (err error) {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	journal, err := os.OpenFile(filepath.Join(path, "journal.jsonl"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	lines := bufio.NewWriter(journal)
	defer func() { err = errors.Join(err, lines.Flush(), journal.Close()) }()
	encoder := json.NewEncoder(lines)
	for i, c := range copies {
		stamp := int64(firstStamp + 1000*i)
		id := fmt.Sprintf("%d-%s", stamp, c.runUUID)
		if err := os.Mkdir(filepath.Join(path, id), 0o700); err != nil {
			return err
		}
		for j, f := range c.files {
			name := fmt.Sprintf("%s_%d_%s.star", f.scenarioType, stamp+int64(j), letters(i))
			if err := os.WriteFile(filepath.Join(path, id, name), f.content, 0o700); err != nil {
				return err
			}
			if err := encoder.Encode(versions.Entry{
				Time: time.Unix(0, stamp), Event: versions.EventFlushed, RunUUID: c.runUUID, ScenarioType: f.scenarioType,
				Execution: id, File: name, SHA256: versions.Digest(f.content), User: "bench", Host: "bench", PID: 1,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// toDisk waits until a store is on stable storage, as the files of runs are that were killed. Otherwise the first
// replay that syncs a directory would write for this program.
func toDisk(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(dir.Fd())), dir.Close())
}

// letters are eight that count.
func letters(i int) string {
	text := []byte("aaaaaaaa")
	for at := len(text) - 1; i > 0; at, i = at-1, i/26 {
		text[at] = byte('a' + i%26)
	}
	return string(text)
}

// fillNames makes a versions directory of n files, so many an execution, to be listed.
func fillNames(path string, n, each int) error {
	content := versions.Seal([]byte("rollback_version = RollbackVersion(format = 1)\n"))
	var copies []*copied
	for i := 0; i < n; i += each {
		c := &copied{runUUID: runOf(i)}
		for range min(each, n-i) {
			c.files = append(c.files, versionFile{"hog_scenarios", content})
		}
		copies = append(copies, c)
	}
	if err := fill(path, copies); err != nil {
		return err
	}
	return os.Remove(filepath.Join(path, "journal.jsonl"))
}

// fillJournal appends lines about executions that are gone to a journal.
func fillJournal(path string, n int) (err error) {
	journal, err := os.OpenFile(filepath.Join(path, "journal.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	lines := bufio.NewWriter(journal)
	defer func() { err = errors.Join(err, lines.Flush(), journal.Close()) }()
	encoder := json.NewEncoder(lines)
	digest := versions.Digest(nil)
	for i := range n {
		stamp := int64(firstStamp - 1000*int64(n-i))
		event := [...]string{versions.EventFlushed, versions.EventAttempt, versions.EventOutcome}[i%3]
		if err := encoder.Encode(versions.Entry{
			Time: time.Unix(0, stamp), Event: event, RunUUID: runOf(i / 3), ScenarioType: "hog_scenarios",
			Execution: fmt.Sprintf("%d-gone", stamp), File: fmt.Sprintf("hog_scenarios_%d_aaaaaaaa.star", stamp), SHA256: digest,
			User: "bench", Host: "bench", PID: 1,
		}); err != nil {
			return err
		}
	}
	return nil
}
