package soak_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tally counts what happened.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what]++
}

// of returns how often there was anything of a kind.
func (t *tally) of(kind string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, count := range t.counts {
		if strings.HasPrefix(what, kind) {
			n += count
		}
	}
	return n
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&b, "\n%8d  %s", t.counts[what], what)
	}
	return b.String()
}

// manyRotations are as many as a run of the default length has on a machine that is not busy.
const manyRotations = 100

// checkTally makes sure that what the run is about did happen.
func (s *soak) checkTally() {
	wanted := []string{
		"refresh: rotated", "refresh: raced", "refresh: 400 reuse", "refresh: 400 ended",
		"thefts: old", "thefts: stale", "logouts", "broken: service", "broken: database", "network: answer lost",
	}
	// That takes two requests within a moment of each other, both answered: where the dice and a slow machine had
	// the database down for most of the time, there may be none.
	if s.tally.of("refresh: rotated") >= manyRotations {
		wanted = append(wanted, "refresh: still_fresh")
	}
	for _, what := range wanted {
		if s.tally.of(what) == 0 {
			s.t.Errorf("there was no %q", what)
		}
	}
	var generations []int64
	for _, u := range s.users {
		generations = append(generations, u.pair.generation)
	}
	slices.Sort(generations)
	s.t.Logf("honest clients' generations: %d to %d, median %d", generations[0], generations[len(generations)-1], generations[len(generations)/2])
	s.t.Logf("what happened:%s", s.tally)
}
