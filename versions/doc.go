// Package versions is the store of version files: the undo of every change, on disk before the change.
//
// Use [NewDir] first, then [Store].Begin for a new execution, or List and Open for what earlier ones left. [NewMemory] is the
// same store without a disk, for tests. [Cleanup] removes what is no longer needed. Contents are bytes: what they mean is
// the business of others, but for the last line, which [Seal] writes and [Integrity] reads.
//
// Avoid building paths: a File names itself, and [Locate] finds the one that an operator typed. Avoid deciding
// from a listing: it takes no lock. Open the execution, and look again with Files.
//
// Promised:
//
//   - Write-ahead. Flush returns when the file and every directory entry above it are on stable storage. Order: the missing
//     parents and the versions directory, each synced before the next; the context directory, its parent synced; the temporary
//     file, written, its length checked, mode set, synced, closed; renamed; the context directory synced. After an error no file is left.
//   - Whole or absent. A name without the temporary prefix has its whole content. Temporary files that a killed writer left are
//     removed by the next holder of the lock.
//   - The name is the state: F.star is pending, F.star.executed is done. MarkExecuted is one rename that never replaces a file. There is no other
//     record to disagree with; the journal is history.
//   - History. Append returns when the line, the journal's own entry and the versions directory's are on stable storage. A line that a crash
//     tore off costs itself alone. Nothing is decided by the journal but which of several undos goes first.
//   - Order. Timestamps are max(now, newest + 1): strictly increasing over the executions of a store, and over the files of an
//     execution and of a process, whatever the clock does. Newest first is the reverse of the order of writing.
//   - One holder. An execution is locked by flock on its directory's descriptor and looked up by name once more after that, so that nobody
//     holds a directory that another one removed. The lock dies with its process, never before, and is no child's. Host and PID are for messages.
//   - In flight. A mark is in the kernel's page cache before MarkInFlight returns, so it outlives a killed process.
//   - Ours. Directories and files that another user could have written, links and whatever else is no plain file are refused, at the
//     descriptor that is then used. They are listed all the same, with the problem and its remedy.
//   - Nobody else's. Only version files and this package's own bookkeeping are ever removed, a directory only when it is empty.
//     Krkn's files are listed and left alone.
//
// The package needs a Unix, and for the durable part a file system that has fsync.
package versions
