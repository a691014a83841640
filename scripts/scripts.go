// Package scripts holds the scenarios that come with ebb: one Starlark file a
// scenario type, named after it, and below lib what several of them load.
//
// Use [FS] as the first of a runner's script directories. The files are ordinary
// scenario scripts: whatever they do, a user's own script can do.
package scripts

import "embed"

// FS holds the scripts, at its root, their library in lib, and in krkn the undo of what Krkn left.
//
//go:embed *.star lib/*.star krkn/*.star
var FS embed.FS
