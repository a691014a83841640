package builtins

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"go.starlark.net/starlark"
)

var regexFunctions = []*function{
	builtin("regex.match", Pure, regexArgs{}, regexMatch),
	builtin("regex.search", Pure, regexArgs{}, regexSearch),
	builtin("regex.problem", Pure, patternArgs{}, regexProblem),
}

type regexArgs struct {
	Pattern string `star:"pattern"`
	Text    string `star:"text"`
}

type patternArgs struct {
	Pattern string `star:"pattern"`
}

func regexMatch(_ *call, a *regexArgs) (starlark.Value, error) {
	re, err := compiled(a.Pattern)
	if err != nil {
		return nil, err
	}
	// The leftmost match is at the start, if there is one there.
	found := re.FindStringIndex(a.Text)
	return starlark.Bool(found != nil && found[0] == 0), nil
}

func regexSearch(_ *call, a *regexArgs) (starlark.Value, error) {
	re, err := compiled(a.Pattern)
	if err != nil {
		return nil, err
	}
	return starlark.Bool(re.MatchString(a.Text)), nil
}

func regexProblem(_ *call, a *patternArgs) (starlark.Value, error) {
	_, err := regexp.Compile(a.Pattern)
	var bad *syntax.Error
	switch {
	case errors.As(err, &bad):
		return starlark.String(fmt.Sprintf("%s: %q", bad.Code, bad.Expr)), nil
	case err != nil:
		return starlark.String(err.Error()), nil
	}
	return starlark.String(""), nil
}

func compiled(pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("for parameter pattern: %w", err)
	}
	return re, nil
}
