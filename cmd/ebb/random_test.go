package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// atRandom runs n cases as subtests of a name, so many at a time, each with a namespace and
// random numbers of its own. nothingLate waits until a time after the last of them, and fails the
// test for what of a run is in their namespaces then.
func atRandom(t *testing.T, name string, n, atATime, seed int, one func(t *testing.T, namespace string, random *rand.Rand)) (nothingLate func(after time.Duration)) {
	// The namespaces are the whole test's: one that ended would take with it what appears late.
	namespaces := make([]string, n)
	for i := range namespaces {
		namespaces[i] = sandboxtest.Namespace(t)
	}
	var over time.Time
	t.Run(name, func(t *testing.T) {
		slots := make(chan struct{}, atATime)
		var last sync.Mutex
		for i := range n {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				one(t, namespaces[i], rand.New(rand.NewPCG(uint64(seed), uint64(i))))
				last.Lock()
				defer last.Unlock()
				over = time.Now()
			})
		}
	})
	return func(after time.Duration) {
		time.Sleep(time.Until(over.Add(after)))
		for _, o := range objects(t, adminClient(t), "") {
			if slices.Contains(namespaces, o.namespace) {
				t.Errorf("appeared late: %s", o)
			}
		}
	}
}
