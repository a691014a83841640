// Package versions is the store of version files: the undo of every change, on disk before the
// change.
//
// # Use
//
// [NewDir] opens a store; its directory is made when something is first written. A program that is
// about to change something begins an execution, and flushes an undo before each change:
//
//	store, err := versions.NewDir("/var/lib/ebb")
//	e, err := store.Begin(ctx, runUUID)       // locked until its Close
//	f, err := e.Flush(ctx, "pod", content)    // from now on f is on the disk, whatever happens
//	unmark, err := e.MarkInFlight(mark)       // a request is about to be sent; unmark after its answer
//	…                                         // the change
//	f, err = e.MarkExecuted(ctx, f)           // undone and verified
//	err = e.Close()
//
// A program that undoes what others left lists, opens and looks again:
//
//	listing, err := store.List(ctx, versions.Filter{PendingOnly: true})
//	e, err := store.Open(ctx, listing.Executions[0].ID)   // *LockedError: its run is alive
//	files, err := e.Files(ctx)                            // newest first
//	content, err := e.Read(ctx, files[0])                 // *InsecureError: others could have written it
//
// [Executions] lists without holding all in memory, for stores of any size.
//
// [NewMemory] is the same store without a disk. [Locate] finds the file that somebody typed.
// [Cleanup] removes what is no longer needed. Contents are bytes, whose meaning is others'
// business, but for the last line, which [Seal] writes and [Integrity] reads.
//
// # Avoid
//
// Don't build paths: a [File] names itself. Don't decide from a listing or from Busy, which take no
// lock: open the execution, and look at its Files. Don't take an error of MarkExecuted for an undo
// that failed: [ErrReadOnly] is a store that takes no change.
//
// # Promised
//
//   - Write-ahead. Flush returns when the file and every directory entry above it are on stable
//     storage. Order: the missing parents and the versions directory, each synced before the next;
//     the context directory, its parent synced; the temporary file, written, its length checked,
//     mode set, synced, closed; renamed; the context directory synced. After an error no file is
//     left.
//   - Whole or absent. A name without the temporary prefix has its whole content. Temporary files
//     that a killed writer left are removed by the next holder of the lock.
//   - The name is the state: F.star is pending, F.star.executed is done. MarkExecuted is one rename
//     that never replaces a file. There is no other record to disagree with; the journal is
//     history.
//   - Imported once. A foreign F.py is renamed to F.py.imported after the F.star that stands for it
//     is on stable storage. Until then both are pending, and to import it again finds the F.star.
//   - History. Append returns when the line, the journal's own entry and the versions directory's
//     are on stable storage. A line that a crash tore off costs itself alone. Nothing is decided by
//     the journal but which of several undos goes first.
//   - Order. Timestamps are max(now, newest + 1): strictly increasing over the executions of a
//     store, and over the files of an execution and of a process, whatever the clock does. Newest
//     first is the reverse of the order of writing.
//   - One holder. An execution is locked by flock on its directory's descriptor, and looked up by
//     name once more after that, so that nobody holds a directory that another one removed. The
//     lock dies with its process, never before, and is no child's. Host and PID are for messages.
//     Where another user has locked the directory, which anybody can who may read it, a file in it
//     that only we can open is locked in its place.
//   - Settled. Open waits until what it found is on stable storage, which a holder that died may
//     not have done: nothing that was seen to be there, or done with, changes its mind later. A
//     disk that can't do it is a warning to an undo, and an error to the next Flush.
//   - In flight. A mark is in the kernel's page cache before MarkInFlight returns, so it outlives a
//     killed process. [Mark.Left] goes by a clock that nobody sets, where the system has one.
//   - Ours. Directories and files that another user could have written, links and whatever else is
//     no plain file are refused, at the descriptor that is then used. They are listed all the same,
//     with the problem and its remedy. [SafeFS] reads other files so.
//   - Nobody else's. Only version files and this package's own bookkeeping are ever removed, a
//     directory only when it is empty. Krkn's files are listed, and renamed when they are imported
//     or marked.
//   - Errors. Those that a caller has to tell apart have a type or value here, and keep the chain
//     down to the system call.
//
// The package needs a Unix, and for the durable part a file system that has fsync.
package versions
