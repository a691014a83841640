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
	// Init is the loading of a module. It can reach nothing outside the module.
	Init Mode = iota
	// Run is a scenario. It reads, and changes what a recorded rollback names.
	Run
	// Undo is a rollback callable. It reads and changes.
	Undo
	// Verify is a verify callable. It only reads.
	Verify
	// Plan is a rollback callable whose changes are listed and not made.
	Plan
)

func (m Mode) String() string {
	return [...]string{"while the module loads", "in run", "in a rollback callable", "in a verify callable", "in a dry run"}[m]
}

// Session is one call into a script. Its exported fields are set before the call and not changed
// afterwards, so several threads may share it.
type Session struct {
	Mode Mode
	Log  *slog.Logger

	// RunUUID and ScenarioType become labels of the objects that the session creates. RunUUID may
	// be empty in [Undo] mode, for a hand-written version file that names no run.
	RunUUID, ScenarioType string

	// Cluster opens the cluster at the first call that needs it. It returns an error if it is the
	// wrong cluster. Nil if there is no cluster.
	Cluster func(context.Context) (*kube.Client, error)

	// GCP and AWS are clients of the clouds. Nil if there is none.
	GCP *gcp.Client
	AWS *aws.Client

	// OwnPod is the pod that this program runs in. The zero value means none, or unknown.
	OwnPod Ref

	// Look checks the chaos of a scenario. Nil if the scenario can't check it.
	Look func(context.Context) Sight

	// Recorder makes rollbacks durable. It is required in [Run] mode.
	Recorder Recorder

	// Mark records that a changing request is about to be sent. unmark is called when its answer is
	// known. If Mark is nil, nothing is recorded.
	Mark func(verb string, r Ref, until time.Time) (unmark func() error, err error)

	// Permit asks, before a changing request, whether this process may still make changes. check is
	// called when the request is written. Nil means that no other process can take over.
	Permit func(context.Context) (check func() error, err error)

	// Unsettled are requests of a killed process that were not answered.
	Unsettled []Unsettled

	// Absences are shared by an undo and the verify right after it. If nil, each call reads for
	// itself.
	Absences *Absences

	// Beliefs are shared by the plans of several undos in a row. If nil, each plan starts from the
	// present state of the cluster.
	Beliefs *Beliefs

	// TakeOver lets an undo also change what somebody else has changed since, because a person
	// asked for it.
	TakeOver bool

	// Expected are the resource versions of the objects that a person was shown, by [Ref.Text]; ""
	// for an object that did not exist. An undo leaves an object alone if its version differs.
	Expected map[string]string

	// AllowIrreversible lets a script make changes that can't be undone.
	AllowIrreversible bool

	// Quiet logs the messages and the caught errors of a script at debug level, because nothing
	// really happens.
	Quiet bool

	// Changed is called after each answered change, when its mark is removed. May be nil.
	Changed func()

	// Told is called for each change that the API server or a cloud has made. May be nil.
	Told func(verb string, r Ref, id Identity)

	// Observe is called at the end of each call of a builtin, also of a failed one. It must be safe
	// for concurrent use. May be nil.
	Observe func(Call)

	// Waiting counts the time until done is called as waiting time, and not as time of the call. If
	// nil, nothing is counted.
	Waiting func() (done func())

	// Progress shows a wait of d, until done is called. If nil, nothing is shown.
	Progress func(d time.Duration, what string) (done func())

	mu             sync.Mutex
	granted        map[Ref]bool // refs of recorded rollbacks that no change has used yet
	lateRequests   []Unsettled  // requests of this call whose answers were lost
	changes        int
	effect         Effect
	made           map[Ref]bool     // created by this call
	notes          []string         // messages of already_restored
	changesPlanned []Change         // changes that Plan mode would have made
	ownBeliefs     Beliefs          // used if Beliefs is nil
	unseen         []string         // messages of not_observed
	identities     map[Ref]Identity // of objects that were read or created
	forcible       atomic.Bool      // a conflict occurred that TakeOver would have resolved
	touched        map[Ref]bool     // changed by this call: Expected no longer applies
}

// Unsettled is a request that may still arrive at the server until the given time. Without a Ref,
// it may be any request.
type Unsettled struct {
	Verb  string
	Ref   Ref
	Until time.Time
}

// Recorder makes the rollbacks of a running scenario durable.
type Recorder interface {
	// Record returns nil only if r is on stable storage and can be replayed.
	Record(ctx context.Context, r Rollback) error
	// Undo replays what the scenario has recorded so far, newest first, and then forgets it.
	Undo(ctx context.Context) error
}

// Rollback holds the arguments of set_rollback_callable.
type Rollback struct {
	Callable, Verify *starlark.Function
	Content          starlark.Value
	Undoes           []Ref
}

// Changes counts the changes that the session made. An object that it created and deleted again,
// such as a helper pod, does not count.
func (s *Session) Changes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// AlreadyRestored returns the messages of already_restored.
func (s *Session) AlreadyRestored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.notes...)
}

// NotObserved returns the messages of not_observed.
func (s *Session) NotObserved() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.unseen...)
}

// Catch logs an error that the script has caught. It may be the only trace of a problem.
func (s *Session) Catch(err error) {
	s.Log.Log(context.Background(), s.level(slog.LevelInfo), fmt.Sprintf("caught: %v", err))
}

// level lowers a log level in a quiet session: there, nothing really happens.
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

// WithSession returns a context for calls in the session s.
func WithSession(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// SessionOf returns the session of a context that [WithSession] made, or nil.
func SessionOf(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

const contextLocal = "ebb.dev/builtins context"

// Bind lets the builtins that run on t find ctx. An interpreter calls it for every thread that it
// creates.
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
