// Package versions is the store of version files. A version file undoes one change, and is on disk
// before that change is made.
//
// # Use
//
// [NewDir] opens a store. Its directory is made when something is first written. A program that
// makes changes begins an execution, and flushes a version file before each change:
//
//	store, err := versions.NewDir("/var/lib/ebb")
//	e, err := store.Begin(ctx, runUUID)       // locked until its Close
//	f, err := e.Flush(ctx, "pod", content)    // now f is on stable storage
//	unmark, err := e.MarkInFlight(mark)       // a request is about to be sent; unmark after its answer
//	…                                         // the change
//	f, err = e.MarkExecuted(ctx, f)           // undone and verified
//	err = e.Close()
//
// A program that undoes what an earlier one left lists the store, opens an execution, and reads its
// files:
//
//	listing, err := store.List(ctx, versions.Filter{PendingOnly: true})
//	e, err := store.Open(ctx, listing.Executions[0].ID)   // *LockedError: its run is alive
//	files, err := e.Files(ctx)                            // newest first
//	content, err := e.Read(ctx, files[0])                 // *InsecureError: others could have written it
//
// [Executions] lists a store of any size without holding the whole list in memory.
//
// [NewMemory] is the same store without a disk. [Locate] finds the file that a user typed. [Cleanup]
// removes old executed files. The content of a file is bytes: the store reads only the last line,
// which [Seal] writes and [Integrity] checks.
//
// # Avoid
//
// Don't build paths: a [File] has its name. Don't decide from a listing or from Busy, because they
// take no lock: open the execution, and read its Files. An error of MarkExecuted does not mean that
// the undo failed: with [ErrReadOnly], only the rename failed.
//
// # Promised
//
//   - Write-ahead. When Flush returns, the file and every directory entry above it are on stable
//     storage. First it makes the missing parents and the versions directory, and syncs each before
//     the next. Then it makes the execution's directory and syncs its parent. Then it writes a
//     temporary file, checks its length, sets its mode, syncs and closes it. At last it renames the
//     file and syncs the directory. After an error, no file is left.
//   - Whole or absent. A file without the temporary prefix is complete. The next holder of the lock
//     removes temporary files of a writer that was killed.
//   - The name is the state. F.star is pending, F.star.executed is executed. MarkExecuted is one
//     rename that never replaces a file. No other record of the state exists: the journal is
//     history.
//   - Imported once. A foreign F.py is renamed to F.py.imported once the F.star that replaces it is
//     on stable storage. Until then both are pending, and a second import finds the F.star.
//   - History. When Append returns, the line is on stable storage, with the directory entries of
//     the journal and of the versions directory. A line that a crash cut off is the only one that
//     is lost. AppendLazily promises the same for the death of the process alone; SyncJournal adds the
//     rest. The journal decides only which of several undos goes first.
//   - Order. A timestamp is max(now, newest + 1). So timestamps always grow, over the executions of
//     a store and over the files of an execution, even if the clock is set back. Newest first is
//     the reverse of the order of writing.
//   - One holder. An execution is locked by flock on the descriptor of its directory. The directory
//     is then looked up by name again, so that nobody holds one that was removed. The lock ends
//     with its process, and no child process inherits it. The host and the PID in it are only for
//     messages. Any user who can read a directory can lock it. If another user has, a file in the
//     directory that only this user can open is locked instead.
//   - Settled. Open waits until everything that it found is on stable storage: a holder that died
//     may not have synced it. So a power loss takes back nothing that was seen. If the disk can't
//     sync, an undo gets a warning, and the next Flush an error.
//   - In flight. A mark is in the kernel's page cache before MarkInFlight returns. So it survives a
//     killed process. [Mark.Left] uses a clock that nobody can set, if the system has one.
//   - No stale answer. The index, which spares [Dir.Notes] and a list of pending files most of the way,
//     is believed only where the kernel says that the directory and the file are the same, and unchanged.
//   - Ours. The store refuses directories and files that another user could have written, links,
//     and everything else that is no regular file. It checks the descriptor that it then uses. Such
//     files are still listed, with the problem and its remedy. [SafeFS] reads other files in the
//     same way.
//   - Only ours is removed. The store removes version files and its own bookkeeping, and a
//     directory only if it is empty. Krkn's files are listed, and renamed when they are imported or
//     marked.
//   - Errors. An error that a caller has to recognize has a type or a value here. It wraps the
//     errors below it, down to the system call.
//
// The package needs Unix, and a file system that supports fsync.
package versions
