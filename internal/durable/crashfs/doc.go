// Package crashfs finds out what a power loss leaves of a store that is built on package durable.
//
// Use a [Recorder] as the system of the store in a directory of its own. Let the store live, and
// note at each step what its user may count on from then on. Then [Crasher.Examine] crashes that
// life after each of its events, plants each tree that a file system may have kept by then, and
// asks a function whether the store that is there keeps its word. [Careless] is a system that
// forgets something: a test that does not find it out finds nothing.
//
// Avoid real waiting: a recorded sync costs nothing. Avoid examining without a seed in the log:
// what is drawn must be drawn again.
//
// Promised is what file systems promise, and no more. An inode's data and mode are on stable
// storage once the inode was synced, an entry once its directory was; until then each may be there
// or not, for itself, data also cut, zeroed, with holes or with what was on the disk before.
// Changes of one entry happen in order, and a rename happens as one. A directory that the recorder
// has not seen made is a mistake of the test, and panics.
package crashfs
