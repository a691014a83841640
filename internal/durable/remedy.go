package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// Remedies are commands to paste. The user that sees one can run it, and it loses nothing. Another
// user who could write to a file may still have it open, and write to it after it was checked. So
// the remedy makes a copy, which only we have opened. An open directory gives no rights beyond its
// mode.

// ownDirectory is the remedy for places that belong to somebody else.
const ownDirectory = "mkdir -p -m 0700 ~/rollback-versions  # a directory of your own, to be named in place of this one"

// copyFile returns the command that shows a copy of a file, and then asks whether to replace the
// file by it.
func copyFile(path string) string {
	p, c := Quote(path), Quote(path+".copy")
	return "(umask 077 && cp " + p + " " + c + ") && cat -v " + c + " && mv -i " + c + " " + p
}

// CopyDir returns the command that replaces a directory by a copy, which nobody else has open.
func CopyDir(path string) string {
	p, c := Quote(path), Quote(join(filepath.Dir(path), "copy."+filepath.Base(path)))
	return "(umask 077 && cp -R " + p + " " + c + ") && cat -v " + c + "/* && mv " + p + " " + Quote(aside(path)) + " && mv " + c + " " + p
}

// putAside returns the command that renames an entry, so that its name is neither that of an
// execution nor of a version file.
func putAside(path string) string { return "mv " + Quote(path) + " " + Quote(aside(path)) }

// mostLookedAt limits how much below a directory is inspected, and named, for one remedy.
const (
	mostLookedAt = 10_000
	mostNamed    = 20
)

// withRemedy adds to the error of a refused path a remedy for the whole path. It adds none if the
// user could not run it.
func (c checker) withRemedy(path string, err error) error {
	var insecure *InsecureError
	if !errors.As(err, &insecure) || insecure.Remedy == ownDirectory {
		return err
	}
	info, statErr := os.Lstat(path)
	own := statErr == nil && info.IsDir()
	switch {
	case statErr == nil && info.Mode()&fs.ModeSymlink != 0:
		insecure.Remedy = "readlink -f " + Quote(path) + "  # the directory to be named in place of this link"
		return err
	case insecure.Path == path && !own:
		insecure.Remedy = ownDirectory
		return err
	case insecure.Path == path && statErr == nil:
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != ourUID() {
			insecure.Remedy = ownDirectory
			return err
		}
	}
	real, evalErr := filepath.EvalSymlinks(path)
	if evalErr != nil {
		real = path // does not exist yet
	}
	var wide []string
	for parent := filepath.Dir(real); parent != "/"; parent = filepath.Dir(parent) {
		var st unix.Stat_t
		if unix.Lstat(parent, &st) != nil {
			continue
		}
		var flaw *InsecureError
		if errors.As(c.parent(parent, newInfo(&st)), &flaw) {
			if flaw.Remedy == ownDirectory {
				insecure.Remedy = ownDirectory
				return err
			}
			wide = append(wide, parent)
		}
	}
	slices.Reverse(wide)
	insecure.Remedy = treeRemedy(real, wide)
	return err
}

// withTreeRemedy adds to the error of a directory that others can write to a remedy that includes
// everything below.
func withTreeRemedy(err error) error {
	var insecure *InsecureError
	if errors.As(err, &insecure) && strings.HasPrefix(insecure.Remedy, "chmod ") {
		insecure.Remedy = treeRemedy(insecure.Path, nil)
	}
	return err
}

// treeRemedy returns one command for some insecure parents, for the modes of directories at and
// below a path, and for the files there.
func treeRemedy(path string, parents []string) string {
	wide, files := flaws(path)
	var commands []string
	if len(wide) > mostNamed {
		commands = append(commands, "find "+Quote(path)+" -type d -exec chmod go-w {} +")
		wide = nil
	}
	if all := append(parents, wide...); len(all) > 0 {
		commands = append([]string{"chmod go-w " + quoteAll(all)}, commands...)
	}
	loop := `do (umask 077 && cp "$f" "$f.copy") && cat -v "$f.copy" && mv -i "$f.copy" "$f"; done`
	switch {
	case len(files) == 1:
		commands = append(commands, copyFile(files[0]))
	case len(files) > mostNamed:
		commands = append(commands, fmt.Sprintf(`find %s -type f \( -perm -020 -o -perm -002 -o -links +1 -o ! -user %d \) -exec sh -c 'for f; %s' sh {} +`, Quote(path), ourUID(), loop))
	case len(files) > 1:
		commands = append(commands, "for f in "+quoteAll(files)+"; "+loop)
	}
	return strings.Join(commands, " && ")
}

// flaws returns the directories of ours at and below a path that others can write to, and the files
// that others could have written.
func flaws(path string) (wide, files []string) {
	seen := 0
	// No error: what can't be inspected is reported when it is opened.
	_ = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		if seen++; seen > mostLookedAt {
			return fs.SkipAll
		}
		var st unix.Stat_t
		if err != nil || unix.Lstat(at, &st) != nil {
			return nil
		}
		info := newInfo(&st)
		switch {
		case info.IsDir() && info.uid == ourUID() && info.mode&othersWrite != 0:
			wide = append(wide, at)
		case entry.Type().IsRegular() && (info.uid != ourUID() || info.mode&othersWrite != 0 || info.links > 1):
			files = append(files, at)
		}
		return nil
	})
	return wide, files
}

func quoteAll(paths []string) string {
	quoted := make([]string, len(paths))
	for i, path := range paths {
		quoted[i] = Quote(path)
	}
	return strings.Join(quoted, " ")
}

func aside(path string) string { return join(filepath.Dir(path), "old."+filepath.Base(path)) }

var plain = lazyregexp.New(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quote quotes a path for a shell. Names can contain anything, and remedies are pasted. A printable
// path works in any shell, others in shells that support $'…'.
func Quote(path string) string {
	if plain.MatchString(path) {
		return path
	}
	if utf8.ValidString(path) && strings.IndexFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(path) {
		switch c := path[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
