//go:build !linux

package durable

// TrueTimes reports whether a change of a file below is sure to change what [Dir.Lstat] says of it at
// once. That is known of no file system here.
func (d *Dir) TrueTimes() bool { return false }
