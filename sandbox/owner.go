package main

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the user that a file belongs to, if the file system tells.
func ownerOf(info fs.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
