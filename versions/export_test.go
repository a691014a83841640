package versions

import "github.com/ebb-chaos/ebb/internal/durable"

// NewDirOn is NewDir on another system than the real one.
func NewDirOn(path string, system durable.System) *Dir { return &Dir{path: path, system: system} }

// NoteAtOnce has the store say who holds an execution as soon as it is opened.
func NoteAtOnce(d *Dir) { d.noteAfter = 0 }
