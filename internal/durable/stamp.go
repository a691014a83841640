package durable

import "time"

// Stamp is which directory it is, and when its entries last changed. Two that are equal are of the same
// directory with the same entries, unless both were taken within the grain of the file system's times.
type Stamp struct {
	dev, ino uint64
	changed  int64
}

// Stamp describes the directory now.
func (d *Dir) Stamp() (Stamp, error) {
	info, err := stat(d.f)
	return Stamp{info.dev, info.ino, info.Changed.UnixNano()}, err
}

// Changed is when an entry was last added, renamed or removed.
func (s Stamp) Changed() time.Time { return time.Unix(0, s.changed) }

// SameDir reports whether both are of the same directory.
func (s Stamp) SameDir(other Stamp) bool { return s.dev == other.dev && s.ino == other.ino }
