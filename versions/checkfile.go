package versions

import "github.com/ebb-chaos/ebb/internal/durable"

// CheckFile returns an *InsecureError for a file that no store would accept, wherever it is: one
// that is not a regular file of our own user with one name, or that others can write to. The
// directories above it are not looked at: [Locate] does that for a file of a store.
func CheckFile(path string) error { return export(durable.CheckPath(path)) }
