// Package hub renders a scenario file and a configuration from environment variables, as the images
// of krkn-hub do.
//
// # Use
//
// [Images] names the images. [Render] returns both files as YAML, from a function such as
// os.Getenv.
//
// # Avoid
//
// Don't check values here. The configuration and the declarations of the scenarios report what is
// wrong with the files, and name the keys.
//
// # Guarantees
//
//   - The variables have the names and the defaults of the image. An empty variable counts as not set, as
//     in the shell scripts of the image.
//   - A value stays one value. It can't add another key to a file.
package hub
