package runner

import (
	"context"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// header returns what a version file says at its top: what it undoes, and for whom. As it was
// written, it is read without running any of the file. What was changed so that it can't be read is
// loaded.
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
