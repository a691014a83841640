package builtins

import (
	"fmt"
	"math/rand/v2"

	"go.starlark.net/starlark"
)

func randomName(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var prefix string
	length := 5
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "prefix", &prefix, "length?", &length); err != nil {
		return nil, err
	}
	if length < 1 || length > 63 {
		return nil, fmt.Errorf("%s: for parameter length: got %d, want 1 to 63", b.Name(), length)
	}
	suffix := make([]byte, length)
	for i := range suffix {
		suffix[i] = byte('a' + rand.IntN(26))
	}
	return starlark.String(prefix + string(suffix)), nil
}

func randomSample(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var items starlark.Iterable
	var n int
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "items", &items, "n", &n); err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, fmt.Errorf("%s: for parameter n: got %d, want 0 or more", b.Name(), n)
	}
	var all []starlark.Value
	it := items.Iterate()
	defer it.Done()
	for x := starlark.Value(nil); it.Next(&x); {
		all = append(all, x)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return starlark.NewList(all[:min(n, len(all))]), nil
}
