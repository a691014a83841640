package aws

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
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

// An embedding program brings its own configuration, and is asked again until there is one.
func TestLoad(t *testing.T) {
	ec2, _ := open(t)
	ec2.AddInstance("i-1", "running")
	asked := 0
	c := Open(Options{Load: func(ctx context.Context) (sdk.Config, error) {
		if asked++; asked == 1 {
			return sdk.Config{}, errors.New("the vault is sealed")
		}
		return config.LoadDefaultConfig(ctx)
	}})
	var e *cloudapi.Error
	_, err := c.Instances(t.Context(), "", []string{"i-1"})
	if !errors.As(err, &e) || e.Reason != cloudapi.Credentials || !strings.Contains(err.Error(), "the vault is sealed") {
		t.Errorf("got %v, want the loader's own words", err)
	}
	for range 2 {
		if _, err := c.Instances(t.Context(), "", []string{"i-1"}); err != nil {
			t.Error(err)
		}
	}
	if asked != 2 {
		t.Errorf("loaded %d times, want 2: it failed once", asked)
	}
}
