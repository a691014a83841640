// Package schema checks YAML files against declared fields. It reports every mistake with its file,
// line and key.
//
// # Use
//
// [Documents] parses a scenario file and finds the maps in it. [Document.Check] checks each map and
// returns plain values. For a file that is one map, such as config.yaml, use [Parse] and [Check]. A
// scenario script declares its [Field]s in Starlark; a Go program reads them from the declaration.
//
// # Avoid
//
// Do not decode YAML from users in any other way: only [Parse] limits its size, its depth and the
// expansion of its aliases. Do not check against the fields of a user's script before
// [ValidateFields] has checked the fields.
//
// # Promised
//
//   - All mistakes of a file are reported at once, in the order of its lines.
//   - The result has every declared key, with its default or nil if the file does not set it.
//   - Values are plain: string, int64, float64, bool, nil, []any, and map[string]any with keys as
//     they are written. Maps are Go maps; sort the keys if you need an order.
//   - No input panics.
//
// Files for Krkn keep working, so some rules of PyYAML apply. An unquoted yes or on is a boolean.
// null and the empty string mean "not set". A quoted number is a number where a number is wanted,
// and "[a, b]" is a list where a list is wanted. Declare the values of labels as [Label]: such a
// value is exactly what is written, be it true, 1.10 or 007.
package schema
