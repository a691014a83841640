//go:build !linux

package versions

// thisBoot knows no boot: marks go by the wall clock, and never longer than a request lives.
func thisBoot() boot { return boot{host: hostName()} }
