package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// dialect says which features a file may use. There is no while, because the formatter can't read
// it, and no recursion.
var dialect = &syntax.FileOptions{Set: true}

// Load parses, resolves and runs a file that loads no other file. name is for messages.
func (e *Engine) Load(ctx context.Context, name string, src []byte) (*Module, error) {
	return e.load(ctx, name, src, nil)
}

// LoadScript loads a file and the files that it loads. A path such as that of load("lib/wait.star",
// "wait_for") is relative to the root of fsys, also in a file of a subdirectory. Each file runs
// once. fsys should follow no symbolic links, such as the file system of an os.Root.
func (e *Engine) LoadScript(ctx context.Context, fsys fs.FS, path string) (*Module, error) {
	l := &loader{engine: e, ctx: ctx, fsys: fsys, modules: map[string]*Module{}}
	m, err := l.module(path)
	if err != nil {
		return nil, e.explain(&call{engine: e, ctx: ctx}, err)
	}
	return m, nil
}

// A loader loads one script with its libraries.
type loader struct {
	engine  *Engine
	ctx     context.Context
	fsys    fs.FS
	modules map[string]*Module
	loading []string
}

// A loadFailure is the error of a loaded module, at the load statement.
type loadFailure struct{ inner *Error }

func (f *loadFailure) Error() string { return f.inner.Error() }
func (f *loadFailure) Unwrap() error { return f.inner }

func (l *loader) module(name string) (*Module, error) {
	if m := l.modules[name]; m != nil {
		return m, nil
	}
	if i := slices.Index(l.loading, name); i >= 0 {
		return nil, fmt.Errorf("these files load each other: %s", strings.Join(append(slices.Clone(l.loading[i:]), name), " -> "))
	}
	src, err := l.read(name)
	if err != nil {
		return nil, err
	}
	l.loading = append(l.loading, name)
	m, err := l.engine.load(l.ctx, name, src, l)
	l.loading = l.loading[:len(l.loading)-1]
	if err != nil {
		var inner *Error
		if errors.As(err, &inner) {
			return nil, &loadFailure{inner}
		}
		return nil, err
	}
	l.modules[name] = m
	return m, nil
}

// read returns the bytes of a file, at most one more than the limit. load then refuses the file.
func (l *loader) read(name string) (src []byte, err error) {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\:") {
		return nil, &hinted{
			err:  fmt.Errorf("cannot load %q: want a path below the scripts' directory", name),
			hint: `write it relative to that directory, without "..", such as load("lib/wait.star", "wait_for")`,
		}
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, l.missing(name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot load %q: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot load %q: not a regular file", name)
	}
	src, err = io.ReadAll(io.LimitReader(f, int64(l.engine.limits.SourceBytes)+1))
	if err != nil {
		return nil, fmt.Errorf("cannot load %q: %w", name, err)
	}
	return src, nil
}

// missing says why a file could not be opened, and suggests another name.
func (l *loader) missing(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot load %q: %w", name, err)
	}
	err = fmt.Errorf("cannot load %q: %w", name, fs.ErrNotExist)
	dir := path.Dir(name)
	entries, readErr := fs.ReadDir(l.fsys, dir)
	if readErr != nil {
		return &hinted{err, fmt.Sprintf("there is no readable directory %q either: %v", dir, readErr)}
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if near := suggest.Nearest(path.Base(name), names); near != "" {
		return &hinted{err, fmt.Sprintf("did you mean %q?", path.Join(dir, near))}
	}
	return err
}

// load does the work of Load and, with a loader, of LoadScript.
func (e *Engine) load(ctx context.Context, name string, src []byte, l *loader) (*Module, error) {
	m := &Module{name: name, lines: splitLines(src), loads: map[*syntax.Ident]loadedName{}}
	// Before parsing, so that syntax errors have an excerpt.
	e.remember(m)
	err := e.onThread(ctx, name, 0, func(t *starlark.Thread) error {
		if err := checkSource(name, src, e.limits.SourceBytes); err != nil {
			return err
		}
		file, err := dialect.Parse(name, src, 0)
		if err != nil {
			return err
		}
		if err := checkNesting(file); err != nil {
			return err
		}
		if l == nil {
			if err := refuseLoads(file); err != nil {
				return err
			}
		}
		prog, err := starlark.FileProgram(file, e.predeclared.Has)
		if err != nil {
			return err
		}
		m.file = file
		if l != nil {
			t.Load = func(_ *starlark.Thread, name string) (starlark.StringDict, error) {
				loaded, err := l.module(name)
				if err != nil {
					return nil, err
				}
				return loaded.globals, nil
			}
		}
		predeclared := maps.Clone(e.predeclared)
		predeclared[holderName] = holder{module: m}
		m.globals, err = prog.Init(t, predeclared)
		m.globals.Freeze()
		return err
	})
	// Keep m alive until here: err has its excerpt from m, and the weak map may hold the only
	// pointer.
	runtime.KeepAlive(m)
	if err != nil {
		return nil, err
	}
	if l != nil {
		m.link(l.modules)
	}
	return m, nil
}

// link records which module each name of a load statement comes from.
func (m *Module) link(modules map[string]*Module) {
	for _, stmt := range m.file.Stmts {
		if load, ok := stmt.(*syntax.LoadStmt); ok {
			for i, to := range load.To {
				m.loads[to] = loadedName{modules[load.ModuleName()], load.From[i].Name}
			}
		}
	}
}

func refuseLoads(file *syntax.File) error {
	for _, stmt := range file.Stmts {
		if load, ok := stmt.(*syntax.LoadStmt); ok {
			return &hinted{
				syntax.Error{Pos: load.Load, Msg: fmt.Sprintf("load(%q): this file may not load other files", load.ModuleName())},
				"copy the functions that it needs into this file",
			}
		}
	}
	return nil
}

// checkSource refuses source for which the parser's message would not help.
func checkSource(name string, src []byte, limit int) error {
	at := func(offset int, msg, hint string) error {
		before := src[:offset]
		line := 1 + bytes.Count(before, []byte("\n"))
		col := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		return &hinted{syntax.Error{Pos: syntax.MakePosition(&name, int32(line), int32(col)), Msg: msg}, hint}
	}
	if len(src) > limit {
		return at(0, fmt.Sprintf("too large: %s, at most %s", size(len(src)), size(limit)), "")
	}
	if len(bytes.TrimSpace(src)) == 0 {
		return at(0, "the file is empty", "was it written to the end?")
	}
	if bytes.HasPrefix(src, []byte("\ufeff")) {
		return at(0, "the file starts with a byte order mark", "save it as UTF-8 without one")
	}
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return at(i, "a NUL byte: this is not a text file, or it is damaged", "")
	}
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return at(i, fmt.Sprintf("byte 0x%02x is not UTF-8", src[i]), "save the file as UTF-8")
		}
		i += n
	}
	return nil
}

// size prints a number of bytes in readable form. A file that was read up to the limit is at least
// one byte longer.
func size(n int) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.3g KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.3g MiB", float64(n)/(1<<20))
	}
}
