package versions

import "github.com/ebb-chaos/ebb/internal/durable"

// CheckFile returns an *InsecureError for a file that no store would accept: one that is not a
// regular file, does not belong to this user, has several names, or can be written by others. It
// does not check the directories above it; [Locate] does that for a file of a store.
func CheckFile(path string) error { return export(durable.CheckPath(path)) }
