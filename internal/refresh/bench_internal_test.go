package refresh

import (
	"testing"
	"time"
)

func BenchmarkDecide(b *testing.B) {
	p := at(nil)
	b.ReportAllocs()
	for b.Loop() {
		if d := decide(p, Presented{Generation: 5}, start.Add(time.Hour), testRules); d.Outcome != Rotated {
			b.Fatal(d.Outcome)
		}
	}
}
