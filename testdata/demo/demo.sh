#!/bin/sh
# A chaos run is killed in mid-chaos, and what it left is found and undone: on a
# whole Kubernetes control plane of its own, in a temporary directory that goes at the end.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/ebb-demo.XXXXXX")
sandbox= runner=
clean() {
	[ -z "$runner" ] || kill -KILL "$runner" 2>/dev/null || :
	[ -z "$sandbox" ] || { kill "$sandbox" 2>/dev/null && wait "$sandbox" || :; }
	rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

say() { printf '\n# %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }
# Waits until a file has a line, for as long as the process that writes it lives.
await() {
	until grep -q "$1" "$2" 2>/dev/null; do
		kill -0 "$3" 2>/dev/null || { echo "demo: it ended before it said \"$1\":" >&2; cat "$2" >&2; exit 1; }
		sleep 0.1
	done
}

cp -R "$root/testdata/demo/config.yaml" "$root/testdata/demo/scenarios" "$dir"
cd "$dir"
PATH=$root/bin:$PATH

say "A control plane: etcd, API server, controllers, scheduler, two nodes"
ebb-sandbox up --kubeconfig kubeconfig >sandbox.log 2>&1 &
sandbox=$!
await '^ready$' sandbox.log "$sandbox"
run ebb-sandbox get nodes --kubeconfig kubeconfig

say "Chaos: ten minutes of load on the CPUs of both nodes"
printf '$ ebb run --config config.yaml &\n'
ebb run --config config.yaml 2>run.log &
runner=$!
await 'Chaos is in force' run.log "$runner"
cat run.log

say "In mid-chaos the runner is killed, and can't clean up"
run kill -KILL "$runner"
wait "$runner" 2>/dev/null || :
runner=
run ebb-sandbox get pods --kubeconfig kubeconfig
run ebb list-rollback --config config.yaml

say "What would undoing it do?"
run ebb execute-rollback --config config.yaml --dry-run 2>&1

say "Undo it"
run ebb execute-rollback --config config.yaml --yes 2>&1

say "The cluster is as it was, and the file tells what was done"
run ebb-sandbox get pods --kubeconfig kubeconfig
run ebb list-rollback --config config.yaml
