//go:build race

package versions

// RaceDetector says that the race detector looks at the tests. It gets a part of those that are long
// loops in one goroutine; make test runs them whole without it.
const RaceDetector = true
