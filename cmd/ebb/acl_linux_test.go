package main

import "golang.org/x/sys/unix"

func setACL(path string, list []byte) error {
	return unix.Setxattr(path, "system.posix_acl_access", list, 0)
}
