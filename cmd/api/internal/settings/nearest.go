package settings

import "slices"

// nearest returns the name with the smallest edit distance.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// wrong is the cost of a removed or replaced letter, where an added one costs
// 1: a part of a name is more often left out than a letter is wrong.
const wrong = 2

// misspelt is the distance up to which a prefix counts as misspelt: two swapped letters
// count 3.
const misspelt = 3

// distance is the cost of turning one name into another, letter by letter
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
