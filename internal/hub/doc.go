// Package hub makes of the environment variables of krkn-hub's images what those images make of
// them: a scenario file and a configuration.
//
// # Use
//
// [Images] names the images. [Render] returns both files as YAML, from a function such as
// os.Getenv.
//
// # Avoid
//
// Don't check values here: the configuration and the scenarios' declarations say what is wrong with
// the files, in the terms of their keys.
//
// # Promised
//
//   - An image's variables have its names and its defaults. One that is empty is one that is not
//     set, as in its shell scripts.
//   - A value is one value: whatever it holds, it adds no other key to a file.
package hub
