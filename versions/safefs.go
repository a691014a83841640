package versions

import (
	"io/fs"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// SafeFS reads the files below a directory, such as scenario scripts, that is ours alone, and so is
// everything in it that is read: by the rules, and with the errors, of a versions directory. A file
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
