package runner

import (
	"context"
	"fmt"
)

// Diagnose says what is wrong with a version file, without running its functions.
// Warnings are findings that a replay can live with.
func (r *Runner) Diagnose(ctx context.Context, name string, content []byte) (errs []error, warnings []error) {
	for _, d := range r.engine.Check(name, content, nameVersion, nameContent, nameCallable, nameVerify) {
		if d.Warning {
			warnings = append(warnings, d.Error)
		} else {
			errs = append(errs, d.Error)
		}
	}
	if len(errs) > 0 {
		return errs, warnings
	}
	file, err := r.load(ctx, name, content)
	switch {
	case err != nil:
		errs = append(errs, err)
	case file.verify == nil:
		warnings = append(warnings, fmt.Errorf("%s: has no %s: a replay will be \"%s\"", name, nameVerify, Unverified))
	}
	return errs, warnings
}
