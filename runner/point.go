package runner

// Point is a moment at which a test may want the process to end: a kill there must
// lose nothing.
type Point string

// The points, in the order in which a scenario passes them.
const (
	BeforeFlush  Point = "before-flush"  // nothing is on the disk
	Rehearsal    Point = "rehearsal"     // the version file is durable, its undo is being rehearsed
	AfterFlush   Point = "after-flush"   // it is proven, nothing was changed
	AfterChange  Point = "after-change"  // a change of the scenario was answered
	EffectSeen   Point = "effect-seen"   // the chaos was looked at
	BeforeUndo   Point = "before-undo"   // an attempt is in the journal, nothing was undone
	DuringUndo   Point = "during-undo"   // a change of an undo was answered
	BeforeRename Point = "before-rename" // all is undone and verified, the name does not say so yet
	AfterRename  Point = "after-rename"  // the name says so, or the file is gone; nothing else does yet
)

// reach tells the test that arms a point.
func (r *Runner) reach(p Point) {
	if r.options.Hooks.Reached != nil {
		r.options.Hooks.Reached(p)
	}
}
