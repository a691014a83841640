package runner

import (
	"context"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// header returns the header of a version file: what it undoes, and for which run. A file in the
// form that ebb writes is read without running it. Another one is loaded.
func (r *Runner) header(ctx context.Context, f versions.File, content []byte) (builtins.Version, error) {
	if value, ok := r.engine.Peek(content, nameVersion, "RollbackVersion", "ref"); ok {
		if version, err := builtins.VersionOf(value); err == nil {
			return version, nil
		}
	}
	defer r.watch(f)()
	file, err := r.load(ctx, f.Location, content)
	if err != nil {
		return builtins.Version{}, err
	}
	return file.Version, nil
}
