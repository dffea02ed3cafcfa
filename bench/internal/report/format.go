package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/dustin/go-humanize"
)

// spread is a median, and how far the values lay apart.
type spread struct{ Median, Min, Max float64 }

// spreadOf returns the spread of the values; the zero one where there are none. The median of an even number of values is
// the mean of the two in the middle.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted, n := slices.Sorted(slices.Values(values)), len(values)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// String is that of a ratio.
func (s spread) String() string {
	return fmt.Sprintf("%s (%.0f–%.0f)", percent(s.Median), 100*s.Min, 100*s.Max)
}

// ratios returns a/b, taken round by round: what slows the machine down for a while slows down both of a round, and so
// moves their ratio less than either. Rounds that only one side has, and rounds without a value of b, do not count.
func ratios(a, b []float64) spread {
	var all []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			all = append(all, a[i]/b[i])
		}
	}
	return spreadOf(all)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// bytes writes a size as people read it.
func bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%d KiB", n>>10)
	}
}

// Thousands writes a number with a comma for each thousand.
func Thousands(n float64) string { return humanize.Comma(int64(math.RoundToEven(n))) }

// some writes a number, and nothing for one that was not measured.
func some(n float64) string {
	if n == 0 {
		return ""
	}
	return Thousands(n)
}

// sessions writes thousands and millions in words.
func sessions(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%d million", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%d thousand", n/1000)
	default:
		return Thousands(float64(n))
	}
}

// milliseconds writes a time with as many digits as are useful.
func milliseconds(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.2f", ms)
	}
}
