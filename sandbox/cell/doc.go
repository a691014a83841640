// Package cell runs commands where they can't reach the machine: in user, mount,
// pid, network, IPC and UTS namespaces, as an unprivileged user, on file systems
// that are memory.
//
// Use first: [Open], which makes the room that holds everything, [Cell.New] for a
// cell in it and [Cell.Start] for a command in that. A cell is a process of this
// program, the init, that waits for requests on a socket; its namespaces are the
// room's, its parent's or its own, as [Setup] says. A program that imports this
// package becomes an init where it is started as one, before its main.
//
// Avoid: commands in a cell that has no [Root]: those see the machine's files,
// with the rights of the room's user, and are for setting things up only.
//
// Promised: when the process that called Open is gone, however it went, so is
// every process, mount and interface of every cell. Nothing is written to disk.
package cell

import "fmt"

// Setup says what a cell has of its own. Everything else it shares with the cell that it is made
// in.
type Setup struct {
	Hostname string // with a UTS namespace, unless ""
	PIDs     bool   // a pid namespace, in which the init is number 1
	Network  bool   // a network namespace, with lo up
	// Proc is a path of the room at which this cell's /proc is mounted, for cells in it without a
	// PID namespace of their own.
	Proc string
	// Processes is that path, in a cell without a PID namespace of its own.
	Processes string
	Root      *Root // a mount namespace
}

// Root is the file system of a cell: the commands, an /etc, and the mounts.
type Root struct {
	Log    string // path in the room; gets what is written to the init's standard output
	Mounts []Mount
	// Capabilities are those of its processes, by number; nil is all.
	Capabilities []int
}

// Mount shows a directory or file of a volume in a cell.
type Mount struct {
	Volume   string // path of a volume in the room
	Path     string // below that; made if missing
	Target   string // absolute, in the cell
	ReadOnly bool
	// Commands also puts the commands there, so that chroot works.
	Commands bool
}

// Volume is a directory of the room.
type Volume struct {
	Path  string            // relative, clean
	Size  int64             // if not 0, the volume is a file system of this many bytes
	Dirs  []string          // made in it
	Files map[string][]byte // replaced in it, by path
}

// Command is a command to run.
type Command struct {
	Args []string
	Env  []string // PATH is where the command is looked for
	// Terminal makes standard input the controlling terminal.
	Terminal bool
}

// StartError says why a command was not started.
type StartError struct {
	Code int // as in a shell: 127 if the command does not exist, otherwise 126
	Text string
}

func (e *StartError) Error() string { return e.Text }

// UnsupportedError means that cells can't be made on this machine.
type UnsupportedError struct{ Err error }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("this machine does not allow the namespaces that keep a command from it: %v", e.Err)
}

func (e *UnsupportedError) Unwrap() error { return e.Err }
