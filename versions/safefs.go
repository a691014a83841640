package versions

import (
	"io/fs"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// SafeFS is a file system that reads the files below a directory, such as scenario scripts. It
// applies the rules of a versions directory and returns the same errors: the directory and every
// file that is read must belong to this user, and nobody else may be able to write to them. A file
// may have at most most bytes.
func SafeFS(path string, most int64) fs.ReadDirFS {
	return safeFS{durable.FS{System: durable.OS{}, Path: path, Most: most}}
}

type safeFS struct{ under durable.FS }

func (s safeFS) Open(name string) (_ fs.File, err error) {
	defer exportTo(&err)
	return s.under.Open(name)
}

func (s safeFS) ReadDir(name string) (_ []fs.DirEntry, err error) {
	defer exportTo(&err)
	return s.under.ReadDir(name)
}
