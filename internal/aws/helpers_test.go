package aws

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// errorChainHas looks for a text in all that an error wraps.
func errorChainHas(err error, text string) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}
