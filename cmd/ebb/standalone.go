package main

// What else a machine has, and an image with nothing but this program does not: the certificates of
// public authorities, where the system has none, and the time zones.
import (
	_ "time/tzdata"

	_ "golang.org/x/crypto/x509roots/fallback"
)
