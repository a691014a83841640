package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// defaultKey is the default path of a new key.
const defaultKey = "ebb-signing-key.pem"

type keysOptions struct{ invocation }

func (o *keysOptions) check() error {
	if len(o.operands) < 1 || len(o.operands) > 2 || o.operands[0] != "new" {
		return &usageError{err: fmt.Errorf("got the operands %q, want new, and perhaps a file instead of %s", o.operands, defaultKey), hints: []string{o.bare("keys", "new", "FILE")}}
	}
	return nil
}

func keysCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "keys",
		Usage:     "make a key that signs version files in a cluster",
		UsageText: "ebb keys new [FILE]",
		Description: `
Makes an Ed25519 key. FILE (` + defaultKey + `) gets the private one, which only
the runner needs: kraken.rollback_signing_key_path, or --signing-key. FILE.pub gets the
public one, for everybody who replays: kraken.rollback_public_keys_path, or
--public-keys. Neither file is overwritten.

To change a key, put the new public key beside the old one, give the runner the new
private key, and remove the old public key when nothing is pending that it signed.
` + exitHelp(helpDone, helpFailed, helpUsage),
	}, runKeys)
}

func runKeys(_ context.Context, o keysOptions) error {
	file := defaultKey
	if len(o.operands) > 1 {
		file = o.operands[1]
	}
	key, err := clusterstore.NewKey()
	if err != nil {
		return err
	}
	private, public, id, err := clusterstore.PEM(key)
	if err != nil {
		return err
	}
	if err := writeNew(file+".pub", public, 0o644); err != nil {
		return notOverwritten(file+".pub", err)
	}
	if err := writeNew(file, private, 0o600); err != nil {
		return errors.Join(notOverwritten(file, err), os.Remove(file+".pub"))
	}
	p := &printer{w: o.stdout, done: "written"}
	p.line("key %s", id)
	p.line("  private: %s, for the runner alone", quoted(file))
	p.line("  public:  %s, for whoever replays", quoted(file+".pub"))
	return p.failed()
}

// writeNew writes a file that does not exist yet.
func writeNew(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
