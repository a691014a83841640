//go:build !linux

package main

import "errors"

func setACL(string, []byte) error { return errors.ErrUnsupported }
