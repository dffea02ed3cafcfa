// Package stats has the few statistics that the report is made of. They are all robust ones: on a machine that does
// other things as well, an average says little.
package stats

import (
	"math"
	"slices"
	"time"
)

// Median returns the middle value; of an even number of values the mean of the two in the middle; of none, 0.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}

	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile returns the smallest value that at least the given share (0 to 1) of the sorted values does not exceed.
func Percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share * float64(len(sorted))))

	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Spread is a median, and how far the values lay apart.
type Spread struct {
	Median, Min, Max float64
}

// SpreadOf returns the spread of the values; the zero one where there are none.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}

	return Spread{Median: Median(values), Min: slices.Min(values), Max: slices.Max(values)}
}

// Ratios returns a/b, taken round by round: what slows the machine down for a while slows down both of a round, and so
// moves their ratio less than either. Rounds that only one side has, and rounds without a value of b, do not count.
func Ratios(a, b []float64) Spread {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}

	return SpreadOf(ratios)
}
