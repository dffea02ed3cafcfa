package settings

import "slices"

// nearest returns the name that it takes the fewest changes to get to.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// wrong is what a letter that is removed or replaced counts, where one that is added counts
// 1: a part of a name is more often left out than a letter is wrong.
const wrong = 2

// misspelt is up to what distance a prefix is taken for a misspelt one: two letters that
// changed places count 3.
const misspelt = 3

// distance is what it takes to get from one name to another, letter by letter
// (Levenshtein's distance, weighted).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // from the letters of a so far to the first ones of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = wrong * (i + 1)
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced += wrong
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+wrong)
		}
	}
	return row[len(b)]
}
