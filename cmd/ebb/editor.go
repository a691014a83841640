package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// editorCommand returns the editor that the user has chosen. It may have arguments.
func editorCommand() (string, error) {
	for _, variable := range []string{"VISUAL", "EDITOR"} {
		if editor := os.Getenv(variable); editor != "" {
			return editor, nil
		}
	}
	for _, name := range []string{"vi", "nano"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &usageError{err: errors.New("no editor: $VISUAL and $EDITOR are empty, and there is no vi"), hints: []string{"export EDITOR=NAME"}}
}

// notFound is the exit code of a shell that finds no such command.
const notFound = 127

// runEditor edits a file and waits for the editor. Signals are left to the editor: Ctrl-C in it
// must not end this process, which still has to save the text.
func runEditor(ctx context.Context, path string) error {
	editor, err := editorCommand()
	if err != nil {
		return err
	}
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGINT, syscall.SIGQUIT) // not Ignore: the editor would inherit that
	defer signal.Stop(ignored)
	// Run by a shell, as git does: the variable may have arguments, and the path may contain
	// spaces.
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$@"`, editor, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == notFound {
			return fmt.Errorf("editor %q: the shell does not find it", editor)
		}
		return fmt.Errorf("editor %q: %w", editor, err)
	}
	return nil
}
