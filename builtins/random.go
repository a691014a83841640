package builtins

import (
	"fmt"
	"math/rand/v2"

	"go.starlark.net/starlark"
)

var randomFunctions = []*function{
	builtin("random_name", Pure, randomNameArgs{Length: 5}, randomName),
	builtin("random_sample", Pure, randomSampleArgs{}, randomSample),
}

type randomNameArgs struct {
	Prefix string `star:"prefix"`
	Length int    `star:"length?"`
}

func randomName(_ *call, a *randomNameArgs) (starlark.Value, error) {
	if a.Length < 1 || a.Length > 63 {
		return nil, fmt.Errorf("for parameter length: got %d, want 1 to 63", a.Length)
	}
	suffix := make([]byte, a.Length)
	for i := range suffix {
		suffix[i] = byte('a' + rand.IntN(26))
	}
	return starlark.String(a.Prefix + string(suffix)), nil
}

type randomSampleArgs struct {
	Items starlark.Iterable `star:"items"`
	N     int               `star:"n"`
}

func randomSample(_ *call, a *randomSampleArgs) (starlark.Value, error) {
	if a.N < 0 {
		return nil, fmt.Errorf("for parameter n: got %d, want 0 or more", a.N)
	}
	var all []starlark.Value
	it := a.Items.Iterate()
	defer it.Done()
	for x := starlark.Value(nil); it.Next(&x); {
		all = append(all, x)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return starlark.NewList(all[:min(a.N, len(all))]), nil
}
