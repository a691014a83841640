package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// Scope is what a comparison is about.
type Scope struct {
	Namespaces []string        // everything in them
	Objects    map[string]bool // those without a namespace, by "Kind name"
}

// mostFields bounds what is said of one object.
const mostFields = 3

// Differences says what is otherwise than it was, one object a line, in the kinds that both
// snapshots have.
func (s *Snapshot) Differences(now *Snapshot, in Scope) []string {
	var all []string
	for _, r := range s.kinds {
		if !slices.Contains(now.kinds, r) {
			continue
		}
		before, after := in.of(r, s.objects[r]), in.of(r, now.objects[r])
		all = append(all, named(before, after)...)
		all = append(all, byChance(before, after)...)
	}
	slices.Sort(all)
	return all
}

// of selects the objects of one kind.
func (in Scope) of(r kube.Resource, objects []object) []object {
	var found []object
	for _, o := range objects {
		wanted := in.Objects[o.kind+" "+o.name]
		if r.Namespaced && slices.Contains(in.Namespaces, o.namespace) || !r.Namespaced && wanted {
			found = append(found, o)
		}
	}
	return found
}

// named compares the objects that have names of their own.
func named(before, after []object) []string {
	was, is := map[string]object{}, map[string]object{}
	for _, o := range before {
		if o.name != "" {
			was[o.String()] = o
		}
	}
	for _, o := range after {
		if o.name != "" {
			is[o.String()] = o
		}
	}
	var all []string
	for name, o := range was {
		now, there := is[name]
		if !there {
			all = append(all, name+" is gone")
			continue
		}
		if o.text == now.text {
			continue
		}
		fields := o.changes(now)
		if more := len(fields) - mostFields; more > 0 {
			fields = append(fields[:mostFields], fmt.Sprintf("and %d more", more))
		}
		all = append(all, name+": "+strings.Join(fields, "; "))
	}
	for name := range is {
		if _, there := was[name]; !there {
			all = append(all, name+" is left")
		}
	}
	return all
}

// byChance compares what controllers make: as many of each, whatever they are called.
func byChance(before, after []object) []string {
	surplus := map[string]int{}
	label := map[string]string{}
	for sign, objects := range map[int][]object{-1: before, 1: after} {
		for _, o := range objects {
			if o.name == "" {
				key := o.String() + "\n" + o.text
				surplus[key] += sign
				label[key] = o.String()
			}
		}
	}
	more, fewer := map[string]int{}, map[string]int{}
	for key, n := range surplus {
		if n > 0 {
			more[label[key]] += n
		} else if n < 0 {
			fewer[label[key]] -= n
		}
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(fewer)) {
		all = append(all, fmt.Sprintf("%s: %d as before are missing, %d are otherwise", name, fewer[name], more[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if fewer[name] == 0 {
			all = append(all, fmt.Sprintf("%s: %d more than before", name, more[name]))
		}
	}
	return all
}
