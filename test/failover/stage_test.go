//go:build linux

package failover_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	issuer   = "https://login.example.com"
	replicas = 2
	bound    = time.Second // LATCHKEY_REVOCATION_BOUND
)

// stage is two replicas under load that reach a cluster by some address.
type stage struct {
	t       *testing.T
	cluster *cluster
	address string // what the figures call it
	name    *name  // nil for most addresses
	wrote   *moments
	load    *load
}

func (s *stage) start(settings testservice.Env) {
	s.t.Helper()
	var started []*replica
	for range replicas {
		started = append(started, startReplica(s.t, settings))
	}
	s.load = startLoad(s.t, started)
	s.load.startRevoking(s.t)
}

// steady waits until the cluster is whole, all users have refreshed, and revocations are followed.
func (s *stage) steady() {
	s.t.Helper()
	s.cluster.awaitWhole()
	since := time.Now()
	testservice.Await(s.t, "refreshes", func() bool { return s.load.refreshed.count(since) > users/2 })
	testservice.Await(s.t, "revocations", func() bool { return len(s.load.last(since, watched)) > 3 })
	for _, r := range s.load.replicas {
		if r.hasEnded() {
			s.t.Fatalf("a replica has ended: %s", lastOf(r.said.String()))
		}
	}
}

// run inflicts a fault, waits until all is as before, and returns what was seen meanwhile.
func (s *stage) run(f fault) figures {
	s.t.Helper()
	s.steady()
	since, anew, logOuts, other := time.Now(), s.anew(), s.load.falseLogOuts.Load(), s.load.other5xx.Load()
	f.inflict(s)
	s.steady()
	got := figures{
		address: s.address, fault: f.name,
		noWrites: s.wrote.gap(since), noRefreshes: s.load.refreshed.gap(since), lateBy: f.late,
		refreshes: s.load.refreshed.count(since), unavailable: s.load.unavailable.count(since),
		falseLogOuts: s.load.falseLogOuts.Load() - logOuts, other5xx: s.load.other5xx.Load() - other,
	}
	// Revocations from just before may be lost, too.
	for _, r := range s.load.last(since.Add(-5*time.Second), 1<<20) {
		s.judge(&got, r, f.mayLose)
	}
	got.anew = s.anew() - anew
	s.t.Logf("%+v", got)
	return got
}

// judge counts a revocation by its outcome.
func (s *stage) judge(got *figures, r *revoked, mayLose bool) {
	s.t.Helper()
	got.revoked++
	var active bool
	testservice.Await(s.t, "an introspection", func() (known bool) {
		var err error
		active, err = s.load.introspect(s.t.Context(), s.load.any(), r.token)
		return err == nil
	})
	edge, strict := r.accepted()
	switch {
	case active && mayLose:
		got.lost++
		return
	case active:
		s.t.Errorf("a revocation was lost")
	case edge.After(r.answered.Add(bound)):
		got.late++
		s.t.Errorf("the edge accepted a revoked token %v after the revocation", edge.Sub(r.answered))
	case strict.After(r.answered) && mayLose:
		got.strict = max(got.strict, strict.Sub(r.answered))
	case strict.After(r.answered):
		s.t.Errorf("a strict check accepted a revoked token %v after the revocation", strict.Sub(r.answered))
	}
}

var revokedAnew = regexp.MustCompile(`they are revoked again".*"sessions":([0-9]+)`)

// anew counts the sessions that the replicas have revoked again.
func (s *stage) anew() (n int) {
	for _, r := range s.load.replicas {
		for _, match := range revokedAnew.FindAllStringSubmatch(r.said.String(), -1) {
			more, err := strconv.Atoi(match[1])
			if err != nil {
				s.t.Error(err)
			}
			n += more
		}
	}
	return n
}
