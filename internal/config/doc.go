// Package config reads Krkn's config.yaml as its users have it.
//
// Use [Load] to run scenarios, and [LoadForRollback] for everything that only undoes or lists: an undo at night must not fail
// over a scenario list that somebody is editing. A flag that names a kubeconfig goes through [KubeconfigPath] too.
//
// Promised: all mistakes are reported at once, each with file, line and key, as [schema.Problems]; a key that ebb doesn't
// know, or knows and doesn't need, is never an error; a key that promises safety and that ebb doesn't have is one, unless
// the caller says otherwise. Nothing is created, and nothing but the file itself is looked at.
package config
