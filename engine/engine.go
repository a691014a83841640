package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
	"weak"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// Options say what scripts can call and how the host takes part. The zero value is a bare
// interpreter.
type Options struct {
	// Predeclared are the names that scripts can use, besides attempt, parallel, fail and struct of
	// the engine, which can't be replaced. New freezes the values, because several threads share
	// them.
	Predeclared starlark.StringDict

	// Signatures are the signatures of predeclared functions, by name: "log.info". Check compares
	// calls with them. It does not check calls of functions that have none here.
	Signatures map[string]Signature

	// Bind is called for each thread that the engine makes, also for those of parallel, before code
	// runs on it. It can store values as locals of the thread, for the builtins of the host.
	Bind func(ctx context.Context, t *starlark.Thread)

	// Caught is called with each error that a script caught with attempt. It must be safe for
	// concurrent use.
	Caught func(ctx context.Context, err error)

	// Print receives the output of print; nil is standard error. It must be safe for concurrent
	// use.
	Print func(ctx context.Context, msg string)

	Limits Limits
}

// Limits bound the work on one file or of one call. A zero field takes the default.
type Limits struct {
	Steps        uint64 // of one call, of loading one module, or of one item of parallel; default 50 million, about 0.5 s
	SourceBytes  int    // of one file, loaded or written by Extract; default 1 MiB
	LiteralNodes int    // values in one literal of Extract; a shared value counts each time; default 100,000
	LiteralDepth int    // nesting of one literal of Extract; default 64
}

func (l Limits) withDefaults() Limits {
	if l.Steps == 0 {
		l.Steps = 50_000_000
	}
	if l.SourceBytes == 0 {
		l.SourceBytes = 1 << 20
	}
	if l.LiteralNodes == 0 {
		l.LiteralNodes = 100_000
	}
	if l.LiteralDepth == 0 {
		l.LiteralDepth = 64
	}
	return l
}

// An Engine loads modules and calls into them. It is safe for concurrent use.
type Engine struct {
	bind        func(context.Context, *starlark.Thread)
	caught      func(context.Context, error)
	print       func(context.Context, string)
	limits      Limits
	predeclared starlark.StringDict
	signatures  map[string]Signature

	// loaded has the source lines for the excerpts of errors: by name, the modules that were loaded
	// under it, the newest last. Its pointers are weak: an engine that replays files for days does
	// not keep them in memory.
	mu     sync.Mutex
	loaded map[string][]weak.Pointer[Module]
}

// New returns an engine.
func New(o Options) *Engine {
	e := &Engine{
		bind:        o.Bind,
		caught:      o.Caught,
		print:       o.Print,
		limits:      o.Limits.withDefaults(),
		predeclared: maps.Clone(o.Predeclared),
		loaded:      map[string][]weak.Pointer[Module]{},
	}
	if e.predeclared == nil {
		e.predeclared = starlark.StringDict{}
	}
	e.signatures = Signatures()
	maps.Copy(e.signatures, o.Signatures)
	e.predeclared["attempt"] = starlark.NewBuiltin("attempt", attempt)
	e.predeclared["fail"] = starlark.NewBuiltin("fail", fail)
	e.predeclared["parallel"] = starlark.NewBuiltin("parallel", parallel)
	e.predeclared["struct"] = starlark.NewBuiltin("struct", starlarkstruct.Make)
	e.predeclared.Freeze()
	return e
}

// ErrSteps is in the chain of an error if a call has used up its steps.
var ErrSteps = errors.New("too many steps")

// Call calls fn on a new thread. Every error is an *Error; a Go panic in a builtin becomes one,
// too. When ctx ends, Call returns an error that wraps the error of ctx. It first waits for a
// builtin that is running.
func (e *Engine) Call(ctx context.Context, fn starlark.Value, args ...starlark.Value) (starlark.Value, error) {
	name := "call"
	if c, ok := fn.(starlark.Callable); ok {
		name = c.Name()
	}
	var result starlark.Value
	err := e.onThread(ctx, name, 0, func(t *starlark.Thread) (err error) {
		result, err = starlark.Call(t, fn, args, nil)
		return err
	})
	// Keep the modules of fn and args alive until here: err has its excerpt from them, and the caller
	// may hold no other pointer to them.
	runtime.KeepAlive(fn)
	runtime.KeepAlive(args)
	if err != nil {
		return nil, err
	}
	return result, nil
}

// A call is what the engine knows of the work on one thread.
type call struct {
	engine     *Engine
	ctx        context.Context
	started    time.Time
	outOfSteps bool
	nesting    int // of parallel
}

const callKey = "ebb.engine.call"

func callOf(t *starlark.Thread) *call {
	c, _ := t.Local(callKey).(*call)
	return c
}

// Context returns the context of the call that runs on t. For a thread that no engine has made, it
// is context.Background().
func Context(t *starlark.Thread) context.Context {
	if c := callOf(t); c != nil {
		return c.ctx
	}
	return context.Background()
}

// stopped reports whether the work on the thread must end. attempt must not catch the error then.
func (c *call) stopped() bool { return c.outOfSteps || c.ctx.Err() != nil }

// onThread runs do on a new thread that has the limits, the context and the bindings of the host.
func (e *Engine) onThread(ctx context.Context, name string, nesting int, do func(*starlark.Thread) error) (err error) {
	c := &call{engine: e, ctx: ctx, started: time.Now(), nesting: nesting}
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
		if err != nil {
			err = e.explain(c, err)
		}
	}()
	// AfterFunc cancels from another goroutine. If the context has ended already, nothing must
	// start.
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &starlark.Thread{Name: name}
	t.SetMaxExecutionSteps(e.limits.Steps)
	t.OnMaxSteps = func(t *starlark.Thread) {
		c.outOfSteps = true
		t.Cancel("too many steps")
	}
	if e.print != nil {
		t.Print = func(_ *starlark.Thread, msg string) { e.print(ctx, msg) }
	}
	t.SetLocal(callKey, c)
	if e.bind != nil {
		e.bind(ctx, t)
	}
	defer context.AfterFunc(ctx, func() { t.Cancel("the context is done") })()
	return do(t)
}

// A panicError is a Go panic in a builtin. It is a bug of the builtin.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("internal error: %v", p.value) }
