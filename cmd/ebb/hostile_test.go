package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// hostileInputs is how many there are in the tables below. Documentation quotes it.
const hostileInputs = 128

// otherUser is a user that is neither root nor us.
const otherUser = 65534

// hostileInput is something that somebody put where ebb reads.
type hostileInput struct {
	name  string
	plant func(h *hostileStore)

	code int    // of execute-rollback
	says string // what it prints, a regular expression
	hint string // the remedy that it prints
	all  bool   // nothing else can go on either: it is about the whole directory, or the configuration
	run  int    // the exit code of a run
	runs bool   // a run goes on beside it
}

func fifo(path string) error { return syscall.Mkfifo(path, 0o700) }

func sparse(size int64) func(string) error {
	return func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o700), os.Truncate(path, size))
	}
}

func text(content string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(content), 0o700) }
}

// hide is a name with all that a terminal obeys, and a line of its own.
const hide = "x\x1b]0;title\x07\x1b[2J\u009b31m\u202egpj\x7f\xff\nFORGED: everything is restored\r"

// hostileFiles stand in the place of a version file.
var hostileFiles = []hostileInput{
	{name: "of another user", plant: func(h *hostileStore) { h.give(h.file) }, code: 4, says: "is a file of user 65534, want", hint: `\(umask 077 && cp `, run: 4},
	{name: "writable by a group", plant: func(h *hostileStore) { h.chmod(h.file, 0o720) }, code: 4, says: `others can write to \(mode 0720\)`, hint: `\(umask 077 && cp `},
	{name: "writable by all", plant: func(h *hostileStore) { h.chmod(h.file, 0o702) }, code: 4, says: `others can write to \(mode 0702\)`, hint: `\(umask 077 && cp `},
	{name: "set-uid and writable", plant: func(h *hostileStore) { h.chmod(h.file, 0o722|fs.ModeSetuid|fs.ModeSetgid) }, code: 4, says: `others can write to \(mode 6722\)`, hint: `\(umask 077 && cp `},
	{name: "writable by an access control list", plant: func(h *hostileStore) { h.acl(h.file) }, code: 4, says: `others can write to \(mode 0760\)`, hint: `(chmod go-w |\(umask 077 && cp )`},
	{name: "link of ours", plant: func(h *hostileStore) { h.moved(h.file) }, code: 4, says: "is a symbolic link, not a regular file", hint: `\(umask 077 && cp `},
	{name: "link of another user", plant: func(h *hostileStore) { h.moved(h.file); h.give(h.file) }, code: 4, says: "is a symbolic link, not a regular file", hint: `\(umask 077 && cp `},
	{name: "link to nothing", plant: func(h *hostileStore) {
		h.instead(h.file, func(p string) error { return os.Symlink("nowhere", p) })
	}, code: 4, says: "is a symbolic link", hint: `(\(umask 077 && cp |mv |readlink |mkdir )`},
	{name: "link to itself", plant: func(h *hostileStore) {
		h.instead(h.file, func(p string) error { return os.Symlink(p, p) })
	}, code: 4, says: "is a symbolic link", hint: `(\(umask 077 && cp |mv |readlink |mkdir )`},
	{name: "link to a device", plant: func(h *hostileStore) {
		h.instead(h.file, func(p string) error { return os.Symlink("/dev/zero", p) })
	}, code: 4, says: "is a symbolic link", hint: `(\(umask 077 && cp |mv |readlink |mkdir )`},
	{name: "link to our own undo", plant: func(h *hostileStore) {
		h.instead(h.file, func(p string) error { return os.Symlink(h.good, p) })
	}, code: 4, says: "is a symbolic link", hint: `(\(umask 077 && cp |mv |readlink |mkdir )`},
	{name: "hard link", plant: func(h *hostileStore) { h.must(os.Link(h.file, filepath.Join(h.dir, "elsewhere"))) }, code: 4, says: `a file with 2 names \(hard links\), want 1`, hint: `\(umask 077 && cp `},
	{name: "hard link of our own undo", plant: func(h *hostileStore) {
		h.instead(h.file, func(p string) error { return os.Link(h.victim, p) })
	}, code: 4, says: `a file with 2 names \(hard links\), want 1`, hint: `\(umask 077 && cp `},
	{name: "FIFO", plant: func(h *hostileStore) { h.instead(h.file, fifo) }, code: 4, says: "is a FIFO, not a regular file", hint: `mv `, run: 4},
	{name: "FIFO with a silent writer", plant: func(h *hostileStore) {
		h.instead(h.file, fifo)
		writer, err := os.OpenFile(h.file, os.O_RDWR, 0)
		h.must(err)
		h.Cleanup(func() { h.must(writer.Close()) })
	}, code: 4, says: "is a FIFO, not a regular file", hint: `mv `, run: 4},
	{name: "socket", plant: func(h *hostileStore) { h.instead(h.file, h.socket) }, code: 4, says: "is a socket, not a regular file", hint: `mv `},
	{name: "device", plant: func(h *hostileStore) { h.instead(h.file, h.device) }, code: 4, says: "is a device, not a regular file", hint: `mv `},
	{name: "directory", plant: func(h *hostileStore) {
		h.instead(h.file, func(p string) error { return os.Mkdir(p, 0o700) })
		h.write(filepath.Join(h.file, "precious"), "x")
	}, code: 4, says: "is a directory, not a regular file", hint: `mv `},
	{name: "2 GiB", plant: func(h *hostileStore) { h.instead(h.file, sparse(2<<30)) }, code: 3, says: "is too long: want at most 1048576 bytes"},
	{name: "1 MiB and a byte", plant: func(h *hostileStore) {
		h.instead(h.file, text("#"+strings.Repeat("x", 1<<20-1)+"\n"))
	}, code: 3, says: "is too long: want at most 1048576 bytes"},
	{name: "empty", plant: func(h *hostileStore) { h.instead(h.file, text("")) }, code: 3, says: "line 1:1: the file is empty"},
	{name: "NUL bytes", plant: func(h *hostileStore) { h.instead(h.file, sparse(3000)) }, code: 3, says: "line 1:1: a NUL byte"},
	{name: "not UTF-8", plant: func(h *hostileStore) { h.instead(h.file, text("x = '\xff\x1b[2J'\n")) }, code: 3, says: "line 1:6: byte 0xff is not UTF-8"},
	{name: "escape codes in the source", plant: func(h *hostileStore) { h.instead(h.file, text("x = 1 \x1b[2J\u202e\n")) }, code: 3, says: "line 1:"},
	{name: "escape codes in an undefined name's line", plant: func(h *hostileStore) { h.instead(h.file, text("x = y # \x1b]0;t\x07\u202e\u009b\n")) }, code: 3, says: "undefined: y"},
	{name: "an error full of escape codes", plant: func(h *hostileStore) {
		h.instead(h.file, text(strings.Replace(goodFile, `log.info("GOOD RAN")`, `fail("\x1b[2J\u202e\u009b\x7f\nFORGED: restored")`, 1)))
	}, code: 3, says: `\\x1b\[2J`},
	{name: "a log line full of escape codes", plant: func(h *hostileStore) {
		h.instead(h.file, text(strings.Replace(goodFile, `"GOOD RAN"`, `"\x1b[2J\u202e\u009b\x7f\nFORGED: restored"`, 1)))
	}, code: 0, says: `\\x1b\[2J`},
	{name: "brackets without end", plant: func(h *hostileStore) {
		h.instead(h.file, text("x = "+strings.Repeat("(", 1<<20-100)))
	}, code: 3, says: "excessive nesting"},
	{name: "clauses without end", plant: func(h *hostileStore) {
		h.instead(h.file, text("x = [1 for _ in [1] "+strings.Repeat("if 1 ", 1<<17)+"]"))
	}, code: 3, says: "clauses in a comprehension, at most 100"},
	{name: "the name for what is done is taken", plant: func(h *hostileStore) {
		h.write(h.file, strings.Replace(goodFile, "GOOD", "ALSO", 1))
		h.must(os.Symlink(h.victim, h.file+".executed"))
	}, code: 3, says: "everything is undone, but .* could not be renamed or removed: .*file exists"},
}

// hostileNames are entries beside version files. They are told of, and refused where an undo may be in them.
var hostileNames = func() []hostileInput {
	var inputs []hostileInput
	const stem = "x_scenarios_1755488223093251001_"
	for name, entry := range map[string]string{
		"a new line and escape codes":       hide,
		"escape codes before a good suffix": "\x1b[2J_1755488223093251001_aaaaaaaa.star",
		"a line of its own":                 "FORGED\nx_scenarios_1755488223093251001_aaaaaaaa.star",
		"reversed":                          "x_scenarios_1755488223093251001_\u202eaaaaaaaa.star",
		"not UTF-8":                         "x_scenarios_1755488223093251001_aaaaaaa\xff.star",
		"255 bytes":                         strings.Repeat("x", 250) + ".star",
		"a copy":                            stem + "aaaaaaaa.star.bak",
		"a tilde":                           stem + "aaaaaaaa.star~",
		"upper case":                        stem + "aaaaaaaa.STAR",
		"executed twice":                    stem + "aaaaaaaa.star.executed.executed",
		"executed, then not":                stem + "aaaaaaaa.star.executed.star",
		"letters too many":                  stem + "aaaaaaaaa.star",
		"capitals":                          stem + "AAAAAAAA.star",
		"no letters":                        stem + ".star",
		"a time beyond all times":           "x_scenarios_99999999999999999999_aaaaaaaa.star",
		"a time after 2116":                 "x_scenarios_4611686018427387904_aaaaaaaa.star",
		"leading zeros":                     "x_scenarios_01755488223093251001_aaaaaaaa.star",
		"a negative time":                   "x_scenarios_-1755488223093251001_aaaaaaaa.star",
		"no scenario type":                  "_1755488223093251001_aaaaaaaa.star",
		"another alphabet":                  "х_scenarios_1755488223093251001_aaaaaaaa.star",
		"a wildcard":                        "*_1755488223093251001_aaaaaaaa.star",
		"an option":                         "--help",
	} {
		code := 0
		if strings.EqualFold(filepath.Ext(entry), ".star") {
			code = 4 // it may have been one, and renamed
		}
		inputs = append(inputs, hostileInput{name: "named: " + name, runs: entry == hide, code: code, says: "which is no version file's <scenario type>_<timestamp ns>_", plant: func(h *hostileStore) {
			h.must(os.Rename(h.file, filepath.Join(h.x, entry)))
		}})
	}
	return append(inputs, hostileInput{name: "named: 3,000 of them", code: 4, says: "which is no version file's", plant: func(h *hostileStore) {
		for i := range 3000 {
			h.must(os.WriteFile(filepath.Join(h.x, fmt.Sprintf("%s%d.star", hide, i)), nil, 0o700))
		}
		h.must(os.Remove(h.file))
	}})
}()

// hostileDirectories stand in the place of an execution's directory.
var hostileDirectories = []hostileInput{
	{name: "directory of another user", plant: func(h *hostileStore) { h.give(h.x) }, code: 4, says: "is a directory of user 65534, want", hint: `(\(umask 077 && cp -R |mkdir |mv )`, run: 4},
	{name: "directory writable by all", plant: func(h *hostileStore) { h.chmod(h.x, 0o777) }, code: 4, says: `others can write to \(mode 0777\)`, hint: `(chmod go-w |\(umask 077 && cp )`},
	{name: "directory writable by a group", plant: func(h *hostileStore) { h.chmod(h.x, 0o770) }, code: 4, says: `others can write to \(mode 0770\)`, hint: `chmod go-w `},
	{name: "directory with a sticky bit", plant: func(h *hostileStore) { h.chmod(h.x, 0o777|fs.ModeSticky) }, code: 4, says: `others can write to \(mode 1777\)`, hint: `chmod go-w `},
	{name: "directory writable by an access control list", plant: func(h *hostileStore) { h.acl(h.x) }, code: 4, says: `others can write to \(mode 0760\)`, hint: `(chmod go-w |\(umask 077 && cp )`},
	{name: "directory a link", plant: func(h *hostileStore) { h.moved(h.x) }, code: 4, says: "is a symbolic link, not a directory", hint: `(mv|mkdir|readlink) `, runs: true},
	{name: "directory a link of another user", plant: func(h *hostileStore) { h.moved(h.x); h.give(h.x) }, code: 4, says: "is a symbolic link, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "directory a link to the good one", plant: func(h *hostileStore) {
		h.instead(h.x, func(p string) error { return os.Symlink(filepath.Dir(h.good), p) })
	}, code: 4, says: "is a symbolic link, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "directory a link to the root", plant: func(h *hostileStore) {
		h.instead(h.x, func(p string) error { return os.Symlink("/", p) })
	}, code: 4, says: "is a symbolic link, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "directory a file", plant: func(h *hostileStore) { h.instead(h.x, text("x")) }, code: 4, says: "is a regular file, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "directory a FIFO", plant: func(h *hostileStore) { h.instead(h.x, fifo) }, code: 4, says: "is a FIFO, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "directory a socket", plant: func(h *hostileStore) { h.instead(h.x, h.socket) }, code: 4, says: "is a socket, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "directory a device", plant: func(h *hostileStore) { h.instead(h.x, h.device) }, code: 4, says: "is a device, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "directory with escape codes", plant: func(h *hostileStore) { h.must(os.Rename(h.x, filepath.Join(h.versions, hide))) }, says: "which is no execution's <timestamp ns>-<run uuid>", code: 4},
	{name: "directory with a line of its own", plant: func(h *hostileStore) { h.must(os.Rename(h.x, h.x+"\nFORGED")) }, code: 4, says: "which is no execution's"},
	{name: "directory from beyond all times", plant: func(h *hostileStore) {
		h.must(os.Rename(h.x, filepath.Join(h.versions, "99999999999999999999-x")))
	}, code: 4, says: "which is no execution's"},
	{name: "directory with leading zeros", plant: func(h *hostileStore) { h.must(os.Rename(h.x, filepath.Join(h.versions, "01755488223093251001-x"))) }, code: 4, says: "which is no execution's"},
	{name: "directory with 255 bytes", plant: func(h *hostileStore) {
		h.must(os.Rename(h.x, filepath.Join(h.versions, "1755488223093251001-"+strings.Repeat("x", 235))))
	}, code: 4, says: "which is no execution's"},
}

// hostileRoots are about the versions directory itself: nothing in it can be trusted.
var hostileRoots = []hostileInput{
	{name: "versions directory writable by all", plant: func(h *hostileStore) { h.chmod(h.versions, 0o777) }, code: 4, says: `others can write to \(mode 0777\)`, hint: `(chmod go-w |\(umask 077 && cp )`},
	{name: "versions directory with a sticky bit", plant: func(h *hostileStore) { h.chmod(h.versions, 0o777|fs.ModeSticky) }, code: 4, says: `others can write to \(mode 1777\)`, hint: `chmod go-w `},
	{name: "versions directory of another user", plant: func(h *hostileStore) { h.give(h.versions) }, code: 4, says: "is a directory of user 65534, want", hint: `(\(umask 077 && cp -R |mkdir |mv )`},
	{name: "versions directory a link", plant: func(h *hostileStore) { h.moved(h.versions) }, code: 4, says: "is a symbolic link, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "versions directory a file", plant: func(h *hostileStore) { h.instead(h.versions, text("x")) }, code: 4, says: "is a regular file, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "versions directory a FIFO", plant: func(h *hostileStore) { h.instead(h.versions, fifo) }, code: 4, says: "is a FIFO, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "versions directory a socket", plant: func(h *hostileStore) { h.instead(h.versions, h.socket) }, code: 4, says: "is a socket, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "versions directory a device", plant: func(h *hostileStore) { h.instead(h.versions, h.device) }, code: 4, says: "is a device, not a directory", hint: `(mv|mkdir|readlink) `},
	{name: "parent writable by all", plant: func(h *hostileStore) { h.chmod(filepath.Dir(h.versions), 0o777) }, code: 4, says: "is a parent directory that others can write to .* without the sticky bit", hint: "chmod go-w "},
	{name: "parent of another user", plant: func(h *hostileStore) { h.give(filepath.Dir(h.versions)) }, code: 4, says: "is a parent directory of user 65534, want", hint: `mkdir `},
	{name: "parent a link of another user", plant: func(h *hostileStore) {
		h.moved(filepath.Dir(h.versions))
		h.give(filepath.Dir(h.versions))
	}, code: 4, says: "is a symbolic link of user 65534, want", hint: `mkdir `},
	{name: "parent a link to itself", plant: func(h *hostileStore) {
		h.instead(filepath.Dir(h.versions), func(p string) error { return os.Symlink(p, p) })
	}, code: 3, says: "too many levels of symbolic links", run: 4},
	{name: "parent a file", plant: func(h *hostileStore) { h.instead(filepath.Dir(h.versions), text("x")) }, code: 3, says: "not a directory", run: 4},
}

// hostileNotes are ebb's own bookkeeping. What is undone never depends on it, but for the marks of requests that may still land.
var hostileNotes = []hostileInput{
	{name: "journal a link", plant: func(h *hostileStore) { h.journal(func(p string) error { return os.Symlink(h.victim, p) }) }, says: "journal.jsonl.* is a symbolic link"},
	{name: "journal a FIFO", plant: func(h *hostileStore) { h.journal(fifo) }, says: "journal.jsonl.* is a FIFO"},
	{name: "journal a socket", plant: func(h *hostileStore) { h.journal(h.socket) }, says: "journal.jsonl.* is a socket"},
	{name: "journal a device", plant: func(h *hostileStore) { h.journal(h.device) }, says: "journal.jsonl.* is a device"},
	{name: "journal a directory", plant: func(h *hostileStore) { h.journal(func(p string) error { return os.Mkdir(p, 0o700) }) }, says: "journal.jsonl.* is a directory"},
	{name: "journal of another user", plant: func(h *hostileStore) { h.journal(text("")); h.give(filepath.Join(h.versions, "journal.jsonl")) }, says: "journal.jsonl.* is a file of user 65534"},
	{name: "journal writable by all", plant: func(h *hostileStore) { h.journal(text("")); h.chmod(filepath.Join(h.versions, "journal.jsonl"), 0o666) }, says: "journal.jsonl.* others can write to"},
	{name: "journal a hard link", plant: func(h *hostileStore) { h.journal(func(p string) error { return os.Link(h.victim, p) }) }, says: "journal.jsonl.* 2 names"},
	{name: "journal of one long line", plant: func(h *hostileStore) { h.journal(text(strings.Repeat("x", 4<<20))) }, says: "GOOD RAN"},
	{name: "journal of bytes", plant: func(h *hostileStore) { h.journal(text("\x00\xff\x1b[2J\n{\n\"\n[]\nnull\n7\n")) }, says: "GOOD RAN"},
	{name: "journal of 512 MiB", plant: func(h *hostileStore) { h.journal(sparse(512 << 20)) }, says: "GOOD RAN"},
	{name: "journal full of escape codes", plant: func(h *hostileStore) {
		h.journal(text(`{"event":"outcome","message":"\u001b[2J\u202e\u009b\u007f\nFORGED: restored","user":"\u001b]0;t\u0007","file":"\r\nFORGED"}` + "\n"))
	}, says: "GOOD RAN"},
	{name: "lock a link", plant: func(h *hostileStore) { h.note(".lock", func(p string) error { return os.Symlink(h.victim, p) }) }, says: "GOOD RAN"},
	{name: "lock a FIFO", plant: func(h *hostileStore) { h.note(".lock", fifo) }, says: "GOOD RAN"},
	{name: "lock a directory", plant: func(h *hostileStore) { h.note(".lock", func(p string) error { return os.Mkdir(p, 0o700) }) }, says: "WARNING.*\\.lock"},
	{name: "lock of 1 GiB", plant: func(h *hostileStore) { h.note(".lock", sparse(1<<30)) }, says: "GOOD RAN"},
	{name: "lock of garbage", plant: func(h *hostileStore) { h.note(".lock", text("{\"pid\":\"\x1b[2J\"")) }, says: "GOOD RAN"},
	{name: "lock full of escape codes", plant: func(h *hostileStore) {
		h.note(".lock", text(`{"host":"\u001b[2J\nFORGED: restored","pid":7,"command":"\u202e"}`))
	}, says: `left by PID 7 on host`},
	{name: "mark a FIFO", plant: func(h *hostileStore) { h.note(".inflight-1", fifo) }, code: 4, says: "inflight-1.* is a FIFO", hint: `mv `},
	{name: "mark a link", plant: func(h *hostileStore) { h.note(".inflight-1", func(p string) error { return os.Symlink(h.victim, p) }) }, code: 4, says: "inflight-1.* is a symbolic link", hint: `(\(umask 077 && cp |mv |readlink |mkdir )`},
	{name: "mark of another user", plant: func(h *hostileStore) {
		h.note(".inflight-1", text("{}"))
		h.give(filepath.Join(filepath.Dir(h.good), ".inflight-1"))
	}, code: 4, says: "inflight-1.* of user 65534", hint: `\(umask 077 && cp `},
	{name: "mark of 1 GiB", plant: func(h *hostileStore) { h.note(".inflight-1", sparse(1<<30)) }, code: 3, says: "inflight-1.* is too long"},
	{name: "mark of garbage", plant: func(h *hostileStore) { h.note(".inflight-1", text("\x1b[2J{")) }, says: "GOOD RAN"},
	{name: "temporary directory", plant: func(h *hostileStore) { h.note(".tmp-0", func(p string) error { return os.Mkdir(p, 0o700) }) }, says: "WARNING.*\\.tmp-0"},
}

// hostileInputFiles are the configuration, which the operator names, and scenario scripts.
var hostileInputFiles = []hostileInput{
	{name: "configuration a FIFO", plant: func(h *hostileStore) { h.instead(h.config(), fifo) }, code: 64, says: "empty", all: true},
	{name: "configuration a directory", plant: func(h *hostileStore) {
		h.instead(h.config(), func(p string) error { return os.Mkdir(p, 0o700) })
	}, code: 64, says: "is a directory", all: true},
	{name: "configuration a device", plant: func(h *hostileStore) { h.instead(h.config(), h.device) }, code: 64, says: "larger than 1024 KiB", all: true},
	{name: "configuration of 2 GiB", plant: func(h *hostileStore) { h.instead(h.config(), sparse(2<<30)) }, code: 64, says: "larger than 1024 KiB", all: true},
	{name: "configuration of escape codes", plant: func(h *hostileStore) { h.instead(h.config(), text("kraken:\n  \x1b[2J: 1\n")) }, code: 64, says: "config.yaml", all: true},
	{name: "configuration with a hidden directory", plant: func(h *hostileStore) {
		h.instead(h.config(), text("kraken:\n  rollback_versions_directory: \"/nowhere/\\e[2J\\u202e\\nFORGED\"\n"))
	}, code: 0, says: "Nothing to do", all: true},
	{name: "scenario a FIFO", plant: func(h *hostileStore) { h.instead(h.scenario(), fifo) }, says: "GOOD RAN", run: 64},
	{name: "scenario a device", plant: func(h *hostileStore) { h.instead(h.scenario(), h.device) }, says: "GOOD RAN", run: 64},
	{name: "scenario of escape codes", plant: func(h *hostileStore) { h.instead(h.scenario(), text("\"\\e[2J\\u202e\": 1\n")) }, says: "GOOD RAN", run: 64},
	{name: "scripts a link", plant: func(h *hostileStore) { h.moved(h.scripts()) }, says: "GOOD RAN", run: 4},
	{name: "scripts writable by all", plant: func(h *hostileStore) { h.chmod(h.scripts(), 0o777) }, says: "GOOD RAN", run: 4},
	{name: "scripts of another user", plant: func(h *hostileStore) { h.give(h.scripts()) }, says: "GOOD RAN", run: 4},
	{name: "script a link", plant: func(h *hostileStore) { h.moved(h.script()) }, says: "GOOD RAN", run: 4},
	{name: "script a FIFO", plant: func(h *hostileStore) { h.instead(h.script(), fifo) }, says: "GOOD RAN", run: 4},
	{name: "script writable by all", plant: func(h *hostileStore) { h.chmod(h.script(), 0o666) }, says: "GOOD RAN", run: 4},
	{name: "script of another user", plant: func(h *hostileStore) { h.give(h.script()) }, says: "GOOD RAN", run: 4},
	{name: "script of 2 GiB", plant: func(h *hostileStore) { h.instead(h.script(), sparse(2<<30)) }, says: "GOOD RAN", run: 64},
	{name: "script named with escape codes", plant: func(h *hostileStore) { h.write(filepath.Join(h.scripts(), hide+".star"), "x") }, says: "GOOD RAN", run: 64},
	{name: "kubeconfig a FIFO", plant: func(h *hostileStore) { h.instead(h.kubeconfig(), fifo) }, says: "GOOD RAN", run: 1},
	{name: "kubeconfig a device", plant: func(h *hostileStore) { h.instead(h.kubeconfig(), h.device) }, says: "GOOD RAN", run: 1},
}

// TestHostileInputs plants one thing a time and lets every command at it. Nothing hangs, nothing planted is run, the
// refusal names the thing and the remedy, what is good is undone all the same, and no output has a character that a terminal would obey.
func TestHostileInputs(t *testing.T) {
	t.Parallel()
	namespace, client := sandboxtest.Namespace(t), adminClient(t)
	configMaps := client.Resource(kinds["configmaps"]).Namespace(namespace)
	victim := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "victim"}}}
	if _, err := configMaps.Create(t.Context(), victim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range hostileRoots {
		hostileRoots[i].all = true
		if hostileRoots[i].run == 0 {
			hostileRoots[i].run = hostileRoots[i].code
		}
	}
	for i, input := range hostileInputFiles {
		hostileInputFiles[i].plant = func(h *hostileStore) {
			h.must(os.RemoveAll(h.x)) // nothing hostile in the versions directory
			input.plant(h)
		}
		if input.all {
			hostileInputFiles[i].run = 64
		}
	}
	inputs := slices.Concat(hostileFiles, hostileNames, hostileDirectories, hostileRoots, hostileNotes, hostileInputFiles)
	if len(inputs) != hostileInputs {
		t.Errorf("got %d hostile inputs, want %d: correct the number here and where documentation quotes it", len(inputs), hostileInputs)
	}
	t.Run("input", func(t *testing.T) {
		for _, input := range every(6, inputs) {
			t.Run(input.name, func(t *testing.T) {
				t.Parallel()
				input.test(newHostileStore(t, namespace))
			})
		}
	})
	if _, err := configMaps.Get(t.Context(), "victim", metav1.GetOptions{}); err != nil {
		t.Errorf("something planted was run: %v", err)
	}
	t.Logf("figures: %d hostile inputs refused", len(inputs))
}

func (input hostileInput) test(h *hostileStore) {
	input.plant(h)
	before := h.snapshot()
	// Looking changes nothing.
	for _, args := range [][]string{
		{"list-rollback", "--config", h.config()},
		{"list-rollback", "--config", h.config(), "--pending", "-o", "json", "--log-format", "json"},
		{"check-rollback", "--config", h.config()},
		{"execute-rollback", "--config", h.config(), "--dry-run"},
		{"execute-rollback", "--config", h.config(), "--dry-run", "-o", "json", "--log-format", "json"},
		{"history", "--config", h.config()},
		{"history", "--config", h.config(), "-o", "json", "--log-format", "json"},
	} {
		code, out := h.look(args...)
		planned := slices.Contains(args, "--dry-run") && input.code == 4 && !strings.HasPrefix(input.name, "mark ")
		want := input.code
		if want == 3 && args[0] != "execute-rollback" {
			want = 1 // only a replay has left something that is not restored
		}
		if (input.all || planned) && code != want {
			h.Errorf("ebb %q: got exit code %d, want %d:\n%s", args, code, want, out)
		}
	}
	// Nor do commands for one file, where that is refused.
	if input.code == 4 {
		for _, args := range [][]string{{"exec", h.file}, {"mark-rollback", "--reason", "x", h.file}, {"check-rollback", filepath.Join(h.dir, hide)}} {
			if _, err := os.Lstat(h.file); err == nil || args[0] == "check-rollback" {
				if code, out := h.look(args...); code != 4 && code != 64 && code != 1 {
					h.Errorf("ebb %s: got exit code %d, want 4, 64 or 1:\n%s", args[0], code, out)
				}
			}
		}
	}
	if after := h.snapshot(); after != before {
		h.Errorf("something was changed by looking: before\n%s\nafter\n%s", before, after)
	}
	if input.all || input.run != 0 || input.runs {
		if code, out := h.ebb("run", "--config", h.config(), "--skip-preflight"); code != input.run {
			h.Errorf("ebb run: got exit code %d, want %d:\n%s", code, input.run, out)
		}
	}
	code, out := h.ebb("execute-rollback", "--config", h.config())
	if code != input.code || !regexp.MustCompile(input.says).MatchString(out) {
		h.Errorf("ebb execute-rollback: got exit code %d, want %d and %q:\n%s", code, input.code, input.says, out)
	}
	if input.hint != "" && !regexp.MustCompile(`hint: `+input.hint).MatchString(out) {
		h.Errorf("want the hint %q:\n%s", input.hint, out)
	}
	if twice := regexp.MustCompile(`(?m)^( *hint: .*)\n`).FindAllString(out, -1); len(twice) > 1 && twice[0] == twice[1] {
		h.Errorf("a hint is given twice:\n%s", out)
	}
	if _, err := os.Lstat(h.good + ".executed"); err != nil && !input.all && !strings.HasPrefix(input.name, "mark ") {
		h.Errorf("the good one was not undone: %v\n%s", err, out)
	} else if err == nil && input.all {
		h.Errorf("the good one was undone in a directory that can't be trusted:\n%s", out)
	}
	if after := h.planted(); after != "" {
		h.Error(after)
	}
}
