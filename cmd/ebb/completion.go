package main

import (
	"fmt"

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

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a shell's completion script",
		UsageText: "ebb completion bash|zsh|fish",
		Description: `
   bash:  source <(ebb completion bash)
   zsh:   source <(ebb completion zsh)
   fish:  ebb completion fish | source

` + exitCodes,
		Action: func(c *cli.Context) error {
			args, err := operands(c)
			if err != nil {
				return err
			}
			var text string
			switch shell := c.Args().First(); {
			case len(args) == 1 && shell == "bash":
				text = bashCompletion
			case len(args) == 1 && shell == "zsh":
				text = zshCompletion
			case len(args) == 1 && shell == "fish":
				if text, err = c.App.ToFishCompletion(); err != nil {
					return err
				}
			default:
				return &usageError{err: fmt.Errorf("got %q, want bash, zsh or fish", args), hints: []string{"ebb completion bash"}}
			}
			_, err = fmt.Fprint(c.App.Writer, text)
			return err
		},
	}
}
