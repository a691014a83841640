//go:build !linux

package versions

// thisBoot knows no boot. Marks use the wall clock, and last at most as long as a request can take.
func thisBoot() boot { return boot{host: hostName()} }
