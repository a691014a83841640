package durable

import (
	"encoding/binary"
	"time"
)

// Stamp is which inode it is, and when it last changed: the entries of a directory, the content, mode or
// names of a file. Two that are equal are of the same inode with the same content, unless both were taken
// within the grain of the file system's times.
type Stamp struct {
	dev, ino uint64
	changed  int64
}

// Stamp describes the directory now.
func (d *Dir) Stamp() (Stamp, error) {
	info, err := stat(d.f)
	return info.Stamp(), err
}

// Stamp describes the entry as it was.
func (i Info) Stamp() Stamp { return Stamp{i.dev, i.ino, i.Changed.UnixNano()} }

// stampSize is how many bytes Append adds.
const stampSize = 3 * 8

// Append adds the stamp to what is kept of it for another process.
func (s Stamp) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.dev)
	b = binary.LittleEndian.AppendUint64(b, s.ino)
	return binary.LittleEndian.AppendUint64(b, uint64(s.changed))
}

// CutStamp reads what Append wrote. ok is false where there is too little of it.
func CutStamp(b string) (s Stamp, rest string, ok bool) {
	if len(b) < stampSize {
		return s, b, false
	}
	number := func(at int) uint64 { return binary.LittleEndian.Uint64([]byte(b[at : at+8])) }
	return Stamp{number(0), number(8), int64(number(16))}, b[stampSize:], true
}

// Changed is when it last changed.
func (s Stamp) Changed() time.Time { return time.Unix(0, s.changed) }

// SameDir reports whether both are of the same directory.
func (s Stamp) SameDir(other Stamp) bool { return s.dev == other.dev && s.ino == other.ino }
