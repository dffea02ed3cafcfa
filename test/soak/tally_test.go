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

// wanted is what the run is about, and how often it has to happen at least.
var wanted = map[string]int{
	"refresh: rotated": 1, "refresh: still_fresh": 1, "refresh: raced": 1, "refresh: 400 reuse": 1, "refresh: 400 ended": 1,
	"thefts: old": 1, "thefts: stale": 1, "logouts": 1, "broken: service": 1, "network: answer lost": 1,
	"broken: database killed": 1, "broken: database leads to a standby": 1, clockJumped + "database's": 1,
	clockJumped + "service's": 1, clockJumped + "verifier's": 1,
	"standby: ": 1, "compas: taken over": 3,
	"pages: rendered": 10, "pages: given up": 1,
	"crowds: signed out": 1, "crowds: refused": 5, "edge: accepted by a verifier": 5, "edge: accepted by a service": 5, "edge: refused in time": 1,
}

// missing is what has not happened often enough yet.
func (s *soak) missing() (all []string) {
	for what, least := range s.wanted {
		if what == clockJumped+"database's" && s.clock == nil {
			continue // there is none that could jump
		}
		if n := s.tally.of(what); n < least {
			all = append(all, fmt.Sprintf("%q: %d times, not %d", what, n, least))
		}
	}
	return all
}

// checkTally makes sure that what the run is about did happen.
func (s *soak) checkTally() {
	for _, what := range s.missing() {
		s.t.Errorf("too little happened: %s", what)
	}
	if s.tally.of("webhook: hung") == 0 { // the first delivery may come after the storm
		s.t.Error("no webhook hung")
	}
	s.logGenerations()
	s.t.Logf("what happened:%s", s.tally)
}

func (s *soak) logGenerations() {
	var generations []int64
	for _, u := range s.users {
		generations = append(generations, u.pair.generation)
	}
	slices.Sort(generations)
	s.t.Logf("honest clients' generations: %d to %d, median %d", generations[0], generations[len(generations)-1], generations[len(generations)/2])
}
