package builtins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/aws"
	"github.com/ebb-chaos/ebb/internal/gcp"
	"github.com/ebb-chaos/ebb/internal/kube"
)

// Mode says what a call into a script may do.
type Mode int

const (
	// Init is a module loading: nothing outside is in reach.
	Init Mode = iota
	// Run is a scenario: it reads, and changes what a flushed rollback refers to.
	Run
	// Undo is a rollback callable: it reads and changes.
	Undo
	// Verify is a verify callable: it only reads.
	Verify
	// Plan is a rollback callable whose changes are listed instead of made.
	Plan
)

func (m Mode) String() string {
	return [...]string{"while the module loads", "in run", "in a rollback callable", "in a verify callable", "in a dry run"}[m]
}

// Session is one call into a script. Its exported fields are set before the call
// and not changed afterwards; several threads may then share it.
type Session struct {
	Mode Mode
	Log  *slog.Logger

	// RunUUID and ScenarioType own what the session creates. RunUUID may be empty
	// in [Undo] mode, for a hand-written version file that names no run.
	RunUUID, ScenarioType string

	// Cluster opens the cluster at the first call that needs it, and refuses the
	// wrong one. Nil where there is none.
	Cluster func(context.Context) (*kube.Client, error)

	// GCP and AWS reach the clouds around the cluster. Nil where there is none.
	GCP *gcp.Client
	AWS *aws.Client

	// OwnPod is the pod that this program runs in. Zero: none, or it is not known.
	OwnPod Ref

	// Look looks at the chaos that a scenario made. Nil where the scenario can't see it.
	Look func(context.Context) Sight

	// Recorder makes rollbacks durable; required in [Run] mode.
	Recorder Recorder

	// Mark records that a changing request is about to be sent, until its answer
	// has come. Nil records nothing.
	Mark func(verb string, r Ref, until time.Time) (unmark func() error, err error)

	// Permit asks, before a changing request, whether this process may still make changes, and returns
	// what checks it once more when the request is written. Nil: nothing else can.
	Permit func(context.Context) (check func() error, err error)

	// Unsettled are requests of a killed process whose answer never came.
	Unsettled []Unsettled

	// Absences are shared by an undo and the verify that follows it at once. Nil: each asks for itself.
	Absences *Absences

	// Beliefs are shared by the plans of undos that are done one after the other. Nil: each starts from
	// the cluster as it is.
	Beliefs *Beliefs

	// TakeOver has an undo also change what somebody else changed since: a person has asked for it.
	TakeOver bool

	// Expected are the resource versions of objects as a person was shown them, "" for one that was not
	// there, by [Ref.Text]. An undo leaves an object alone that is another one by now.
	Expected map[string]string

	// AllowIrreversible lets a script do what can't be undone.
	AllowIrreversible bool

	// Quiet logs what a script says, and what it catches, at debug level: nothing of it happens.
	Quiet bool

	// Changed is called after each change was answered, and its mark removed. Nil is fine.
	Changed func()

	// Told is told of each change that the API server or a cloud has made. Nil is fine.
	Told func(verb string, r Ref, id Identity)

	// Observe is told of each call of a builtin that has ended, also of one that failed.
	// It must be safe for concurrent use. Nil is fine.
	Observe func(Call)

	// Waiting counts the time until done is called as spent on waiting, not on the call itself. Nil
	// counts nothing.
	Waiting func() (done func())

	// Progress is told of a wait of d; it returns what ends the display. Nil shows nothing.
	Progress func(d time.Duration, what string) (done func())

	mu             sync.Mutex
	granted        map[Ref]bool // refs of recorded rollbacks that no change has used
	lateRequests   []Unsettled  // attempts of this call whose answers were lost
	changes        int
	effect         Effect
	made           map[Ref]bool     // what this call created
	notes          []string         // what already_restored said
	changesPlanned []Change         // what Plan would have done
	ownBeliefs     Beliefs          // where Beliefs is nil
	unseen         []string         // what not_observed said
	identities     map[Ref]Identity // of objects that were read or made
	forcible       atomic.Bool      // there was a conflict that TakeOver takes over
	touched        map[Ref]bool     // what this call changed: it is not what was expected any more
}

// Unsettled is a request that may still land until the given time. Without a Ref it may be any
// request.
type Unsettled struct {
	Verb  string
	Ref   Ref
	Until time.Time
}

// Recorder makes rollbacks durable for a scenario that runs.
type Recorder interface {
	// Record returns nil only when r is on stable storage and can be replayed.
	Record(ctx context.Context, r Rollback) error
	// Undo replays what the scenario recorded so far, newest first, and forgets it.
	Undo(ctx context.Context) error
}

// Rollback is what set_rollback_callable was given.
type Rollback struct {
	Callable, Verify *starlark.Function
	Content          starlark.Value
	Undoes           []Ref
}

// Changes counts the changes that the session made. Something that it created and
// deleted again, such as a pod to look through, is none.
func (s *Session) Changes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// AlreadyRestored returns what the script said with already_restored.
func (s *Session) AlreadyRestored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.notes...)
}

// NotObserved returns what the script said with not_observed.
func (s *Session) NotObserved() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.unseen...)
}

// Catch logs an error that the script caught: it may be all that a reader of the
// log has to go by.
func (s *Session) Catch(err error) {
	s.Log.Log(context.Background(), s.level(slog.LevelInfo), fmt.Sprintf("caught: %v", err))
}

// level is the level of what is worth it in a session that does what it says. A dry run does not.
func (s *Session) level(at slog.Level) slog.Level {
	if s.Quiet || s.Mode == Plan {
		return slog.LevelDebug
	}
	return at
}

func (s *Session) changed(verb string, r Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.touched == nil {
		s.touched = map[Ref]bool{}
	}
	s.touched[r] = true
	switch {
	case verb == "create":
		if s.made == nil {
			s.made = map[Ref]bool{}
		}
		s.made[r] = true
	case verb == "delete" && s.made[r]:
		delete(s.made, r)
		s.changes--
		return
	}
	s.changes++
}

type sessionKey struct{}

// WithSession returns a context for calls under s.
func WithSession(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// SessionOf returns the session of a context that [WithSession] made, or nil.
func SessionOf(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

const contextLocal = "ebb.dev/builtins context"

// Bind lets the builtins that run on t find ctx. An interpreter calls it for
// every thread that it makes.
func Bind(ctx context.Context, t *starlark.Thread) { t.SetLocal(contextLocal, ctx) }

// session returns the context and the session of a thread.
func session(t *starlark.Thread) (context.Context, *Session, error) {
	ctx, ok := t.Local(contextLocal).(context.Context)
	if !ok {
		return nil, nil, errors.New("this thread is bound to no context")
	}
	s := SessionOf(ctx)
	if s == nil {
		return nil, nil, errors.New("this context carries no session")
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	return ctx, s, nil
}

// sessionOf returns the session of a thread, or nil.
func sessionOf(t *starlark.Thread) *Session {
	if ctx, ok := t.Local(contextLocal).(context.Context); ok {
		return SessionOf(ctx)
	}
	return nil
}

func (s *Session) waiting() func() {
	if s.Waiting == nil {
		return func() {}
	}
	return s.Waiting()
}

func (s *Session) progress(d time.Duration, what string) func() {
	if s.Progress == nil {
		return func() {}
	}
	return s.Progress(d, what)
}
