#!/bin/sh
# Builds bin/ebb-sandbox; with the argument "test", runs its tests after that.
#
# bin/ebb-sandbox is a link to bin/.sandbox-HASH, where HASH covers all that
# goes into the binary. If that file exists, it is what a build would make.
# Needs Go, git and a POSIX system.
set -eu

cd "$(dirname "$0")/.."
mkdir -p bin

version=$(sed -n 's|^require k8s.io/kubernetes \(v[0-9.]*\)$|\1|p; s|^[[:space:]]k8s.io/kubernetes \(v[0-9.]*\)$|\1|p' sandbox/go.mod | head -n 1)
[ -n "$version" ] || { echo "sandbox: no version of k8s.io/kubernetes in sandbox/go.mod" >&2; exit 1; }
major=${version#v}; major=${major%%.*}
minor=${version#v*.}; minor=${minor%%.*}
base=k8s.io/component-base/version
ldflags="-s -w -X $base.gitVersion=$version -X $base.gitMajor=$major -X $base.gitMinor=$minor"

log=$(mktemp "${TMPDIR:-/tmp}/ebb-sandbox-build.XXXXXX")
made=bin/.sandbox-building.$$ # ends in the process, see below
job=
# A job in the background ignores Ctrl-C, so it is ended from here.
clean() { rm -f "$log" "$made" "bin/.sandbox-link.$$"; }
trap 'clean' EXIT
trap '[ -z "$job" ] || kill "$job" 2>/dev/null || :; exit 130' INT TERM HUP

# Runs a go command with -v, which names each package as it is compiled, and
# says every ten seconds how far it is.
progress() {
	(cd sandbox && exec "$@") >"$log" 2>&1 &
	job=$!
	seconds=0
	while kill -0 "$job" 2>/dev/null; do
		sleep 1
		seconds=$((seconds + 1))
		if [ $((seconds % 10)) -eq 0 ]; then
			compiled=$(grep -c '^[a-z0-9.-]*\(/[^ :]*\)*$' "$log" || :)
			fetched=$(grep -c '^go: downloading' "$log" || :)
			echo "sandbox: $seconds s: $fetched modules fetched, $compiled packages compiled"
		fi
	done
	if wait "$job"; then job=; return 0; else status=$?; fi
	job=
	# What is left without the progress is the error.
	grep -v '^[a-z0-9.-]*\(/[^ :]*\)*$' "$log" | grep -v '^go: downloading' >&2 || :
	return "$status"
}

hash=$({
	(cd sandbox && go version && go env GOOS GOARCH CGO_ENABLED GOFLAGS)
	echo "$ldflags"
	for f in sandbox/*.go sandbox/*/*.go sandbox/go.mod sandbox/go.sum; do
		case $f in *_test.go) continue ;; esac
		echo "$f"
		cat "$f"
	done
} | git hash-object --stdin)

if [ ! -x "bin/.sandbox-$hash" ]; then
	echo "sandbox: building Kubernetes $version; 4 to 8 minutes the first time, seconds after that"
	progress go build -v -ldflags "$ldflags" -o "../$made" .
	mv "$made" "bin/.sandbox-$hash"
	echo "sandbox: built in $seconds s"
	for old in bin/.sandbox-*; do
		case $old in
		"bin/.sandbox-$hash") continue ;;
		bin/.sandbox-building.*) kill -0 "${old##*.}" 2>/dev/null && continue ;; # another make at work
		esac
		rm -f "$old"
	done
fi
# Made elsewhere and moved, so that bin/ebb-sandbox never is missing.
if [ "$(readlink bin/ebb-sandbox)" != ".sandbox-$hash" ]; then
	ln -s ".sandbox-$hash" "bin/.sandbox-link.$$"
	mv "bin/.sandbox-link.$$" bin/ebb-sandbox
fi

if [ "${1-}" = test ]; then
	cd sandbox
	go test -timeout 40m -ldflags "$ldflags" ./...
fi
