//go:build !race

package versions

// RaceDetector says whether the race detector looks at the tests.
const RaceDetector = false
