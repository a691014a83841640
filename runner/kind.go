package runner

import (
	"context"
	"errors"
	"io/fs"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/versions"
)

// Kind is a class of errors. Programs decide by the kind; people read the message.
type Kind string

// The kinds. Those of the first group do not concern one file or scenario: all others fail, too.
const (
	KindUnavailable   Kind = "unavailable"   // the API server or a cloud gives no usable answer
	KindUnauthorized  Kind = "unauthorized"  // it refuses the credentials
	KindCredentials   Kind = "credentials"   // there are none, or the command that gets them fails
	KindUntrusted     Kind = "untrusted"     // its certificate is not what the configuration says
	KindConfiguration Kind = "configuration" // the cluster can't be reached as it is configured

	KindForbidden      Kind = "forbidden"       // a right is missing
	KindRefusedRequest Kind = "request"         // the API server or a cloud refused a request
	KindUnknownOutcome Kind = "unknown outcome" // a change may have been made, or may still be
	KindCommand        Kind = "command"         // a command in a container failed
	KindTimeout        Kind = "timeout"         // what was waited for did not come
	KindInterrupted    Kind = "interrupted"     // by a signal
	KindConflict       Kind = "conflict"        // somebody else changed it: a person has to look
	KindScript         Kind = "script"          // a mistake in the file's own code
	KindFailed         Kind = "failed"          // the file's own code said so
	KindLost           Kind = "lost"            // its code ended the process
	KindNoEffect       Kind = "no effect"       // the chaos was not in force, or not as long as it should have been
	KindFile           Kind = "file"            // it can't be read, or renamed

	KindWrongCluster Kind = "wrong cluster" // it was written for another one
	KindReplaced     Kind = "replaced"      // it is not the file that was written under this name
	KindNewerPending Kind = "newer pending" // a newer file of its execution has to be undone first
	KindOverlap      Kind = "overlap"       // another execution has changed the same, which is not undone yet
	KindRights       Kind = "rights"        // the user may not do what a scenario or its undo needs
	KindStore        Kind = "store"         // version files can't be written
	KindInsecure     Kind = "insecure"      // somebody else could have written it
	KindLocked       Kind = "locked"        // its execution is in use
	KindDrift        Kind = "drift"         // the cluster or the store is not as a plan says
	KindUnsigned     Kind = "unsigned"      // it is not proven to be a runner's

	KindUnsupported Kind = "unsupported"  // no script declares this scenario type
	KindFinal       Kind = "irreversible" // a scenario would do what can't be undone
	KindScenario    Kind = "scenario"     // a scenario file is not as its type declares it
	KindUnknownRun  Kind = "unknown run"  // the store has nothing of it
)

// General reports whether an error of this kind would also stop any other file.
func (k Kind) General() bool {
	switch k {
	case KindUnavailable, KindUnauthorized, KindCredentials, KindUntrusted, KindConfiguration:
		return true
	}
	return false
}

// KindOf returns the kind of an error. It is KindFailed if no other kind fits, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	for _, ask := range []func(error) Kind{ownKind, storeKind, requestKind, scriptKind} {
		if kind := ask(err); kind != "" {
			return kind
		}
	}
	return KindFailed
}

// ownKind returns the kind of an error of this package.
func ownKind(err error) Kind {
	var (
		failure       *Failure
		refused       *RefusedError
		configuration *ConfigurationError
		lost          *LostError
		conflict      *builtins.ConflictError
		overlap       *builtins.OverlapError
		unsupported   *UnsupportedError
		unknown       *UnknownRunError
		scenario      schema.Problems
		effect        *builtins.EffectError
		final         *builtins.IrreversibleError
	)
	switch {
	case errors.As(err, &failure):
		return failure.Kind
	case errors.As(err, &refused):
		return refused.Kind
	case errors.As(err, &configuration):
		return KindConfiguration
	case errors.As(err, &lost):
		return KindLost
	case errors.As(err, &conflict):
		return KindConflict
	case errors.As(err, &overlap):
		return KindOverlap
	case errors.As(err, &final):
		return KindFinal
	case errors.As(err, &effect):
		return KindNoEffect
	case errors.As(err, &unsupported):
		return KindUnsupported
	case errors.As(err, &unknown):
		return KindUnknownRun
	case errors.As(err, &scenario):
		return KindScenario
	}
	return ""
}

func storeKind(err error) Kind {
	var (
		insecure *versions.InsecureError
		locked   *versions.LockedError
		unsigned *versions.UntrustedError
		path     *fs.PathError
	)
	switch {
	case errors.As(err, &unsigned):
		return KindUnsigned
	case errors.As(err, &insecure):
		return KindInsecure
	case errors.As(err, &locked):
		return KindLocked
	case errors.As(err, &path):
		return KindFile
	}
	return ""
}

// requestKind returns the kind of an error of the API server, of a cloud or of a container.
func requestKind(err error) Kind {
	var (
		request *kube.Error
		cloud   *cloudapi.Error
		command *builtins.ExecError
		timeout *builtins.TimeoutError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return KindInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.As(err, &timeout):
		return KindTimeout
	case errors.As(err, &command):
		return KindCommand
	case errors.As(err, &request):
		reason, _ := request.Catch()
		return reasonKind(reason, err)
	case errors.As(err, &cloud):
		return reasonKind(cloud.Reason, err)
	}
	return ""
}

// reasonKind maps the reasons that scripts see to kinds.
func reasonKind(reason string, err error) Kind {
	switch reason {
	case "Unavailable":
		return KindUnavailable
	case "Unauthorized":
		return KindUnauthorized
	case "Credentials":
		return KindCredentials
	case "Untrusted":
		return KindUntrusted
	case "Configuration":
		return KindConfiguration
	case "UnknownOutcome":
		return KindUnknownOutcome
	case "Forbidden":
		return KindForbidden
	}
	if apierrors.IsForbidden(err) {
		return KindForbidden
	}
	return KindRefusedRequest
}

// scriptKind distinguishes an error that a script has raised from a mistake in the script.
func scriptKind(err error) Kind {
	var script *engine.Error
	var said engine.Catchable
	if errors.As(err, &script) && !errors.As(err, &said) {
		return KindScript
	}
	return ""
}
