package versions

import (
	"context"
	"errors"
	"io/fs"
)

// CountPending counts the pending files that a filter selects: version files, and those of Krkn, which have to be
// imported before they can be replayed. It looks at names only.
func CountPending(ctx context.Context, s Store, f Filter) (ours, foreign int, err error) {
	f.NamesOnly, f.PendingOnly = true, true
	if d, ok := s.(*Dir); ok {
		return d.countPending(ctx, f)
	}
	for x, err := range Executions(ctx, s, f) {
		if err != nil && !errors.As(err, new(*EntryError)) {
			return 0, 0, err
		}
		o, k := x.Pending()
		ours, foreign = ours+o, foreign+k
	}
	return ours, foreign, nil
}

// Pending counts the pending files of a listed execution: version files, and those of Krkn.
func (x ExecutionInfo) Pending() (ours, foreign int) {
	for _, f := range x.Files {
		switch {
		case f.Replayable():
			ours++
		case f.State == Pending && f.Kind == KindForeign:
			foreign++
		}
	}
	return ours, foreign
}

func (d *Dir) countPending(ctx context.Context, f Filter) (ours, foreign int, err error) {
	defer exportTo(&err)
	root, err := d.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	names, err := root.Names()
	if err != nil {
		return 0, 0, err
	}
	entries, _ := d.entries(names, f)
	old := &index{}
	if len(entries) >= d.index.least() {
		old = d.index.of(root)
	}
	type counted struct{ ours, foreign int }
	look := func() func(entry) []counted {
		reader := root.NewReader()
		return func(e entry) []counted {
			known, _, ok := old.holds(root, e.name)
			if n := known.count(f.ScenarioType); ok && n >= 0 {
				return []counted{{ours: n}}
			}
			var c counted
			for _, info := range d.listEntry(root, reader, old, e, f) {
				c.ours, c.foreign = info.Pending()
			}
			return []counted{c}
		}
	}
	for c := range inOrder(ctx, entries, look) {
		ours, foreign = ours+c.ours, foreign+c.foreign
	}
	return ours, foreign, ctx.Err()
}
