// Package schema checks YAML files against declared fields, and names every mistake with its file, line and key.
//
// Use [Documents] first: it parses a scenario file and finds the maps in it; [Document.Check] then turns each
// into plain values. [Parse] and [Check] are the same two steps for a file that is one map, such as config.yaml.
// A scenario script declares its [Field]s in Starlark, and a Go program that shows or generates scenario files reads
// them from the declaration.
//
// Avoid decoding YAML from users in any other way: only [Parse] bounds size, depth and alias expansion, and the
// other functions rely on that. Avoid checking against fields of a user's script before [ValidateFields] has seen
// them.
//
// Promised: all mistakes of a file are reported at once, in the order of its lines; every declared key is in the
// result, if only with its default or nil; values are plain (string, int64, float64, bool, nil, []any,
// map[string]any, keys as written); no input panics. Maps are Go maps: who needs an order sorts the keys.
//
// Files written for Krkn keep working, so some habits of PyYAML are kept on purpose: yes and on are booleans when
// they stand unquoted, null and the empty string mean "not set", a quoted number is a number where one is wanted, and so
// is "[a, b]" a list. Declare label values as [Text]: a label's value is what is written, be it true, 1.10 or 007.
package schema
