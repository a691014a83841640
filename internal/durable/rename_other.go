//go:build !linux

package durable

// renameNoReplace renames within a directory unless the new name exists.
func renameNoReplace(dir int, from, to string) error { return lookAndRename(dir, from, to) }
