// Package durable reads and writes small files in directories that nobody else can write.
//
// Use [Open] first: it walks the path, refuses what others could have tampered with, creates what
// is missing if asked to, and returns a [Dir]. Everything else is a method of Dir and takes the
// name of an entry, never a path: all calls go through the directory's descriptor, follow no
// symbolic link, and check what they opened and not what was there a moment before. [Dir.Probe]
// finds out whether the disk takes a file at all.
//
// Avoid [Dir.Create] and [Dir.Put] for anything that must outlive the machine: they are for bookkeeping.
//
// Promised: [Dir.WriteFile], [Dir.ReplaceFile], [Dir.Rename], [Dir.Remove] and
// [Dir.Mkdir] return nil only when the change is on stable storage. A file gets there in this
// order: temporary file in the same directory, write, length, mode, fsync, close, rename, fsync of
// the directory. [Dir.AppendLines] leaves the last of these, for a file that may be new, to its caller:
// one write a line, fsync of the file. A reader sees the whole file or none. After an error the temporary file is gone, and so is the new name;
// where even this removal fails, the error says both.
//
// The package needs a Unix.
package durable
