// Package config reads Krkn's config.yaml as its users have it.
//
// Use [Load] to run scenarios, and [LoadForRollback] for everything that only undoes or lists: an
// undo at night must not fail over a scenario list that somebody is editing. A flag that names a
// kubeconfig goes through [KubeconfigPath] too.
//
// Promised: all mistakes are reported at once, each with file, line and key, as [schema.Problems].
// An unknown key is a warning, unless it resembles one that is read: then it is an error with the
// suggestion. An enabled safety key is a [SafetyError], unless the caller says otherwise. Nothing
// is created, and nothing but the file itself is read.
package config
