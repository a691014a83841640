package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// krknRun is the run whose files krkn writes.
const krknRun = "168dce4c-fdb4-4e8c-aa5b-7f919777801b"

// krkn TYPE CALLABLE FIELD=VALUE... writes a version file as Krkn has them into a new execution of
// $VERSIONS. Its code is not Krkn's, and does nothing. A value of data is encoded as JSON in base64
// is, and instance_ids becomes a tuple.
func cmdKrkn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: krkn TYPE CALLABLE FIELD=VALUE...")
	}
	var fields []string
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "data":
			name, value = "resource_identifier", fmt.Sprintf("%q", base64.StdEncoding.EncodeToString([]byte(value)))
		case "instance_ids":
			value = "('" + strings.ReplaceAll(value, ",", "', '") + "',)"
		default:
			value = fmt.Sprintf("%q", value)
		}
		fields = append(fields, name+"="+value)
	}
	versions := ts.Getenv("VERSIONS")
	entries, err := os.ReadDir(versions)
	if !os.IsNotExist(err) {
		ts.Check(err)
	}
	execution := filepath.Join(versions, fmt.Sprintf("%d-%s", 1764000000000000000+len(entries), krknRun))
	ts.Check(os.MkdirAll(execution, 0o755))
	text := fmt.Sprintf(`class RollbackContent:
    pass

def %s(rollback_content, lib_telemetry):
    raise Exception("python was run")

rollback_content = RollbackContent(%s)

if __name__ == '__main__':
    %[1]s(rollback_content, None)
`, args[1], strings.Join(fields, ", "))
	ts.Check(os.WriteFile(filepath.Join(execution, args[0]+"_1763999999000000000_abcdefgh.py"), []byte(text), 0o644))
}
