package runner

import (
	"context"

	"github.com/ebb-chaos/ebb/versions"
)

func busy(context.Context, versions.Store, string) error { return nil }
