package sandboxtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// tools are commands of the machine that pods and nodes of the sandbox have too, by the Debian
// package that brings them. A machine that builds ebb may lack them, and the sandbox looks for
// them when it starts.
var tools = map[string][]string{
	"iproute2":   {"ip", "tc"},
	"iptables":   {"iptables"},
	"procps":     {"pgrep"},
	"util-linux": {"nsenter", "setsid", "unshare"},
}

// NeedTools skips a test that nothing would be tested in, since the machine lacks a command
// and it could not be installed before the sandbox started.
func NeedTools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if !slices.ContainsFunc(toolDirs, func(dir string) bool { return isFile(dir + "/" + name) }) {
			t.Skipf("SKIPPED, NOTHING OF THIS WAS TESTED: the machine has no %s, and only root can install it, where there is apt-get", name)
		}
	}
}

// toolDirs are where the sandbox looks.
var toolDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// installTools installs what is missing, where root and apt-get are there. What then is still
// missing skips tests ([NeedTools]).
var installTools = sync.OnceValue(func() error {
	missing := missingPackages(toolDirs)
	if len(missing) == 0 || os.Geteuid() != 0 {
		return nil
	}
	found, err := install(func() []string { return missingPackages(toolDirs) })
	if err == nil && found {
		if missing = missingPackages(toolDirs); len(missing) > 0 {
			err = errors.New("apt-get installed " + strings.Join(missing, " ") + ", but not all commands are there")
		}
	}
	return err
})

// Install makes sure that the machine has a command, which a Debian package brings, and reports
// whether it has.
func Install(command, pkg string) bool {
	there := func() bool {
		return slices.ContainsFunc(toolDirs, func(dir string) bool { return isFile(dir + "/" + command) })
	}
	if there() || os.Geteuid() != 0 {
		return there()
	}
	_, err := install(func() []string {
		if there() {
			return nil
		}
		return []string{pkg}
	})
	return err == nil && there()
}

// install installs the packages that are missing when it is this process's turn, and reports whether
// there is something that does.
func install(missing func() []string) (found bool, err error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return false, nil
	}
	// One at a time: the tests of other checkouts are on the same machine.
	turn, err := lock(filepath.Join(os.TempDir(), fmt.Sprintf("ebb-sandbox-%d-tools", os.Getuid())), unix.LOCK_EX)
	if err != nil {
		return true, err
	}
	defer turn.Close() //nolint:errcheck // nothing was written
	packages := missing()
	if len(packages) == 0 {
		return true, nil
	}
	// A new machine has no lists of packages, or old ones.
	for _, args := range [][]string{{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, packages...)} {
		cmd := exec.Command(apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return true, fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return true, nil
}

// missingPackages returns the packages of which a command is in none of the directories.
func missingPackages(dirs []string) []string {
	var missing []string
	for name, commands := range tools {
		if slices.ContainsFunc(commands, func(command string) bool {
			return !slices.ContainsFunc(dirs, func(dir string) bool { return isFile(dir + "/" + command) })
		}) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}
