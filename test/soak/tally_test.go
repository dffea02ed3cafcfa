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

// missing is what the run is about and has not happened yet.
func (s *soak) missing() (all []string) {
	for _, what := range []string{
		"refresh: rotated", "refresh: still_fresh", "refresh: raced", "refresh: 400 reuse", "refresh: 400 ended",
		"thefts: old", "thefts: stale", "logouts", "broken: service", "broken: database", "network: answer lost",
	} {
		if s.tally.of(what) == 0 {
			all = append(all, what)
		}
	}
	return all
}

// checkTally makes sure that what the run is about did happen.
func (s *soak) checkTally() {
	for _, what := range s.missing() {
		s.t.Errorf("there was no %q", what)
	}
	var generations []int64
	for _, u := range s.users {
		generations = append(generations, u.pair.generation)
	}
	slices.Sort(generations)
	s.t.Logf("honest clients' generations: %d to %d, median %d", generations[0], generations[len(generations)-1], generations[len(generations)/2])
	s.t.Logf("what happened:%s", s.tally)
}
