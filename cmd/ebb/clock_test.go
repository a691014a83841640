package main

import "github.com/rogpeppe/go-internal/testscript"

// What plays a node's clock, which all nodes of the sandbox share with the machine: how far it is from
// the machine's is in a file. The time since the boot is the machine's own.
const (
	dateStandIn = `#!/bin/sh
cd ` + standInDir + ` || exit 1
sum() { awk -v a="$1" -v b="$2" "BEGIN { printf \"%.3f\\n\", a $3 b }"; }
case "$1 $2" in
"+%s.%N ") sum "$(/usr/bin/date +%s.%N)" "$(cat offset)" + ;;
"-s 01:01:01") echo -36000 >offset ;; # at any time of the day
"-s "*) sum "$(/usr/bin/date --date "$2" +%s.%N)" "$(/usr/bin/date +%s.%N)" - >set && mv set offset ;;
*) echo "date (a stand-in): got $*" >&2; exit 1 ;;
esac
`
	timedatectlStandIn = `#!/bin/sh
cd ` + standInDir + ` || exit 1
case "$*" in
"show --property=NTP --value") cat ntp ;;
"set-ntp true") echo yes >ntp ;;
"set-ntp false") echo no >ntp ;;
*) echo "timedatectl (a stand-in): got $*" >&2; exit 1 ;;
esac
`
	clockSetup = `
mkdir -p /host/usr/local/bin /host` + standInDir + ` && cd /host` + standInDir + ` && echo 0 >offset && echo yes >ntp &&
cd /host/usr/local/bin && printf '%s' "$1" >date && printf '%s' "$2" >timedatectl && chmod 755 date timedatectl
`
	clockIsRight = `cd /host` + standInDir + ` && [ "$(cat ntp)" = yes ] && awk '{ exit !($1 > -2 && $1 < 2) }' offset`
)

// clock NODE puts a stand-in for its clock on a node. clock NODE right checks that it shows the time; with ! that it
// does not.
func cmdClock(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && args[1] != "right" || neg && len(args) != 2 {
		ts.Fatalf("usage: clock NODE [right]")
	}
	if len(args) == 1 {
		if out, code := onNode(ts, args[0], "sh", "-c", clockSetup, "sh", dateStandIn, timedatectlStandIn); code != 0 {
			ts.Fatalf("stand-ins on node %s: %s", args[0], out)
		}
		return
	}
	if _, code := onNode(ts, args[0], "sh", "-c", clockIsRight); neg != (code != 0) {
		state, _ := onNode(ts, args[0], "sh", "-c", "cat /host"+standInDir+"/*")
		ts.Fatalf("clock of node %s: offset and network time are %q", args[0], state)
	}
}
