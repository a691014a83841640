package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// suggestedKey returns the key that was probably meant by an unknown one, or "". It finds a key
// with a similar spelling, one with the same words (as in rollback_versions_dir), and one of
// another section.
func suggestedKey(key string) string {
	parent, name, fields := "", key, sections
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		f, ok := field(key[:i])
		if !ok {
			return ""
		}
		parent, name, fields = key[:i+1], key[i+1:], f.Fields
	}
	if nearest := suggest.Nearest(name, slices.Collect(maps.Keys(fields))); nearest != "" {
		return parent + nearest
	}
	all := slices.DeleteFunc(slices.Sorted(maps.Keys(fields)), func(known string) bool { return !read(parent + known) })
	for _, alike := range []func(known string) bool{
		func(known string) bool { return sameWords(name, known) && lastWord(name) == lastWord(known) },
		func(known string) bool { return sameWords(name, known) },
		func(known string) bool { return beginsAlike(parent, name, known) },
	} {
		if i := slices.IndexFunc(all, alike); i >= 0 {
			return parent + all[i]
		}
	}
	if strings.Count(key, ".") > 1 {
		return ""
	}
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		for _, known := range slices.Sorted(maps.Keys(sections[section].Fields)) {
			if plainKey(known) == plainKey(name) && read(section+"."+known) {
				return section + "." + known
			}
		}
	}
	return ""
}

// parentOf returns the part of a key before its own name.
func parentOf(key string) string { return key[:strings.LastIndexByte(key, '.')+1] }

// sameWords reports whether all words of one key are in the other, possibly abbreviated.
func sameWords(a, b string) bool {
	words, others := strings.Split(plainKey(a), "_"), strings.Split(plainKey(b), "_")
	if len(words) > len(others) {
		words, others = others, words
	}
	const shortest = 3 // letters that are enough to recognize a word
	return !slices.ContainsFunc(words, func(word string) bool {
		return !slices.ContainsFunc(others, func(other string) bool {
			short, long := min(word, other), max(word, other) // an abbreviation sorts before the whole word
			return len(short) >= shortest && strings.HasPrefix(long, short)
		})
	})
}

// beginsAlike reports whether two important keys have the same first word: rollback_dir, wait_time.
func beginsAlike(parent, a, b string) bool {
	first, _, more := strings.Cut(plainKey(a), "_")
	other, _, _ := strings.Cut(b, "_")
	return (parent == "kraken." || parent == "tunings.") && more && first == other
}

func lastWord(key string) string { return key[strings.LastIndexByte(key, '_')+1:] }

// plainKey returns a key in Krkn's spelling.
func plainKey(key string) string {
	return strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(key))
}
