package cell

// CrictlDir is where the stub of crictl finds the pods of a node. Each has a directory, named by
// its ID, which is its UID. The directory holds the files name, namespace and pid.
const CrictlDir = "run/ebb-sandbox/pods"

// The ID of a container is that of its pod: scenarios only need the PID, and all containers of a
// pod share its network.
const crictl = `#!/bin/sh
# A stub of crictl: pods, ps, inspectp, inspect, as far as ebb-sandbox needs them.
dir=/` + CrictlDir + `
die() { echo "crictl (a stub of ebb-sandbox): $1" >&2; exit 1; }
[ $# -gt 0 ] || die "no command, want pods, ps, inspectp or inspect"
command=$1; shift
quiet= name= namespace= pod= output=json template= id=
while [ $# -gt 0 ]; do
	case $1 in
	-q|--quiet) quiet=1 ;;
	--name) name=$2; shift ;;
	--namespace) namespace=$2; shift ;;
	-p|--pod) pod=$2; shift ;;
	-o|--output) output=$2; shift ;;
	--template) template=$2; shift ;;
	-*) die "unknown flag \"$1\"" ;;
	*) id=$1 ;;
	esac
	shift
done
case $command in
pods|ps)
	for p in "$dir"/*; do
		[ -f "$p/pid" ] || continue
		read -r n <"$p/name"; read -r ns <"$p/namespace"
		[ -z "$name" ] || [ "$command" = ps ] || [ "$name" = "$n" ] || continue
		[ -z "$namespace" ] || [ "$namespace" = "$ns" ] || continue
		[ -z "$pod" ] || [ "$pod" = "${p##*/}" ] || continue
		if [ -n "$quiet" ]; then echo "${p##*/}"; else echo "${p##*/} Ready $n $ns"; fi
	done ;;
inspect|inspectp)
	case $id in ''|*/*|.*) die "want the ID of a pod or container, got \"$id\"" ;; esac
	[ -f "$dir/$id/pid" ] || die "\"$id\" is not known on this node"
	read -r pid <"$dir/$id/pid"
	case $output in
	json)
		read -r n <"$dir/$id/name"; read -r ns <"$dir/$id/namespace"
		printf '{"status": {"id": "%s", "metadata": {"name": "%s", "namespace": "%s", "uid": "%s"}}, "info": {"pid": %s}}\n' "$id" "$n" "$ns" "$id" "$pid" ;;
	go-template)
		[ "$template" = '{{.info.pid}}' ] || die "template \"$template\", want {{.info.pid}}"
		echo "$pid" ;;
	*) die "output \"$output\", want json or go-template" ;;
	esac ;;
*) die "unknown command \"$command\", want pods, ps, inspectp or inspect" ;;
esac
`
