package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The scripts call ebb for each completion (complete.go), so that they never become outdated. If
// ebb offers nothing, they offer files.
var completionScripts = map[string]string{
	"bash": `_ebb() {
  local found
  COMPREPLY=()
  while IFS= read -r found; do
    COMPREPLY+=("$(printf %q "$found")")
  done < <("${COMP_WORDS[0]}" ` + completeName + ` "${COMP_WORDS[@]:1:$COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _ebb ebb
`,
	"zsh": `#compdef ebb
_ebb() {
  local -a found
  found=("${(@f)$(${(Q)words[1]} ` + completeName + ` "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  found=(${found:#})
  if (( $#found )); then
    compadd -a found
  else
    _files
  fi
}
if [[ "$funcstack[1]" == _ebb ]]; then
  _ebb "$@"
else
  compdef _ebb ebb
fi
`,
	"fish": `function __ebb_complete
  set -l words (commandline -opc)
  set -l word (commandline -ct)
  test -n "$word"; or set word ''
  set -l found ($words[1] ` + completeName + ` $words[2..-1] $word 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\n' $found
  else
    __fish_complete_path $word
  end
end
complete -c ebb -f -a '(__ebb_complete)'
`,
}

func shells() []string { return slices.Sorted(maps.Keys(completionScripts)) }

type completionOptions struct{ invocation }

func (o *completionOptions) check() error {
	if len(o.operands) != 1 || completionScripts[o.operands[0]] == "" {
		return &usageError{err: fmt.Errorf("got %q, want %s", o.operands, either(shells())), hints: []string{o.bare("completion", "bash")}}
	}
	return nil
}

func completionCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "completion",
		Usage:     "print a shell's completion script",
		UsageText: "ebb completion " + strings.Join(shells(), "|"),
		Description: `
Prints a completion script. To load it:

   bash:  source <(ebb completion bash)
   zsh:   source <(ebb completion zsh)
   fish:  ebb completion fish | source
` + exitHelp(helpDone, helpFailed, helpUsage),
	}, runCompletion)
}

func runCompletion(_ context.Context, o completionOptions) error {
	_, err := fmt.Fprint(o.stdout, completionScripts[o.operands[0]])
	return err
}
