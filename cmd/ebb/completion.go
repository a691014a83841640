package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"
)

// The scripts ask ebb itself, so that they never lag behind it.
const (
	bashCompletion = `_ebb() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$("${COMP_WORDS[@]:0:$COMP_CWORD}" --generate-bash-completion 2>/dev/null)" -- "${COMP_WORDS[$COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _ebb ebb
`
	zshCompletion = `#compdef ebb
_ebb() {
  local -a found
  found=("${(@f)$(${words[@]:0:$((CURRENT - 1))} --generate-bash-completion 2>/dev/null)}")
  compadd -a found
  _files
}
compdef _ebb ebb
`
)

type completionOptions struct{ invocation }

func (o *completionOptions) check() error {
	if len(o.operands) != 1 || !slices.Contains([]string{"bash", "zsh", "fish"}, o.operands[0]) {
		return &usageError{err: fmt.Errorf("got %q, want bash, zsh or fish", o.operands), hints: []string{"ebb completion bash"}}
	}
	return nil
}

func completionCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "completion",
		Usage:     "print a shell's completion script",
		UsageText: "ebb completion bash|zsh|fish",
		Description: `
   bash:  source <(ebb completion bash)
   zsh:   source <(ebb completion zsh)
   fish:  ebb completion fish | source

` + exitCodes,
	}, runCompletion)
}

func runCompletion(_ context.Context, o completionOptions) error {
	text := map[string]string{"bash": bashCompletion, "zsh": zshCompletion}[o.operands[0]]
	if text == "" {
		var err error
		if text, err = newApp(o.stdout, o.stderr).ToFishCompletion(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(o.stdout, text)
	return err
}
