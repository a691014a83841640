package versions

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// swept are the directories that systems clear, and the program that does it.
var swept = map[string]string{
	"/tmp":     "a reboot or systemd-tmpfiles (after 10 days, as a rule)",
	"/var/tmp": "systemd-tmpfiles (after 30 days, as a rule)",
	"/run":     "a reboot",
	"/dev/shm": "a reboot",
}

// Warnings implements Store.
func (d *Dir) Warnings() []string {
	var warnings []string
	existing := deepestExisting(d.path)
	real, err := filepath.EvalSymlinks(existing)
	if err != nil {
		real = existing // List and Begin report it
	}
	real += strings.TrimPrefix(d.path, existing)
	for dir, who := range swept {
		// The path as it was given, too: on macOS /tmp is a link.
		if strings.HasPrefix(real+"/", dir+"/") || strings.HasPrefix(d.path, dir+"/") {
			warnings = append(warnings, fmt.Sprintf("versions directory %q is under %s: %s can delete it", d.path, dir, who))
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(existing, &st); err == nil {
		if who := volatileBy(&st); who != "" {
			warnings = append(warnings, fmt.Sprintf("versions directory %q is on %s", d.path, who))
		}
	}
	return append(warnings, d.trust.warnings(d.path)...)
}

// deepestExisting is the longest existing part of a path. A directory that is created at path is on
// its file system.
func deepestExisting(path string) string {
	for {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); !errors.Is(err, fs.ErrNotExist) || path == "/" {
			return path
		}
		path = filepath.Dir(path)
	}
}
