package stats_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/bench/internal/stats"
)

func TestMedian(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		given := append([]float64(nil), test.values...)
		if got := stats.Median(test.values); got != test.want {
			t.Errorf("Median(%v) = %v, want %v", test.values, got, test.want)
		}
		if diff := cmp.Diff(given, test.values); diff != "" {
			t.Errorf("Median changed the order of its values:\n%s", diff)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()

	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, test := range []struct {
		sorted []time.Duration
		share  float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{hundred[:1], 0.999, 1},
		{hundred, 0, 1},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 0.999, 100},
		{hundred, 1, 100},
	} {
		if got := stats.Percentile(test.sorted, test.share); got != test.want {
			t.Errorf("Percentile of %d values, %v: %d, want %d", len(test.sorted), test.share, got, test.want)
		}
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	t.Parallel()

	// The machine is half as fast in the second round; a is 90 % of b all the same.
	got := stats.Ratios([]float64{900, 450, 910}, []float64{1000, 500, 1000})
	if want := (stats.Spread{Median: 0.9, Min: 0.9, Max: 0.91}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}

	got = stats.Ratios([]float64{1, 2, 3}, []float64{0, 4})
	if want := (stats.Spread{Median: 0.5, Min: 0.5, Max: 0.5}); got != want {
		t.Errorf("with rounds that one side lacks: got %v, want %v", got, want)
	}
	if got := stats.Ratios(nil, nil); got != (stats.Spread{}) {
		t.Errorf("of nothing: got %v", got)
	}
}
