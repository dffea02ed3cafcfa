//go:build linux

package failover_test

import (
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// lateBy is how long an address leads to a standby although there is a new primary.
const lateBy = 5 * time.Second

// fault is what goes wrong.
type fault struct {
	name string
	// mayLose says that commits may be lost: asynchronous replication promises no more.
	mayLose bool
	// late is how much of the time is the address's.
	late    time.Duration
	inflict func(*stage)
}

var (
	kill = fault{name: "`kill -9` of the primary and its Patroni", mayLose: true, inflict: func(s *stage) {
		dead := s.cluster.primary()
		dead.kill()
		s.cluster.primary()
		dead.start()
	}}
	killSynchronous = fault{name: "`kill -9` of both, synchronous", inflict: kill.inflict}
	crash           = fault{name: "`kill -9` of PostgreSQL alone", inflict: func(s *stage) {
		n := s.cluster.primary()
		before := n.postmaster()
		_ = syscall.Kill(before, syscall.SIGKILL)
		testservice.Await(s.t, "another PostgreSQL", func() bool { now := n.postmaster(); return now != 0 && now != before })
	}}
	switchover            = fault{name: "switchover", inflict: func(s *stage) { s.cluster.switchOver() }}
	switchoverSynchronous = fault{name: "switchover, synchronous", inflict: switchover.inflict}
	freeze                = fault{name: "the primary is frozen, and thawed", mayLose: true, inflict: func(s *stage) {
		frozen := s.cluster.primary()
		frozen.signal(syscall.SIGSTOP)
		s.cluster.primary()
		pause(s.t.Context(), 3*time.Second) // it thaws when the other one is in use
		frozen.signal(syscall.SIGCONT)
	}}
	terminate = fault{name: "connections are ended one by one, for 5 s", inflict: func(s *stage) {
		conn, err := pgx.Connect(s.t.Context(), s.cluster.url(s.cluster.primary()))
		if err != nil {
			s.t.Fatal(err)
		}
		defer conn.Close(s.t.Context()) //nolint:errcheck // it was asked
		for began := time.Now(); time.Since(began) < 5*time.Second; pause(s.t.Context(), 30*time.Millisecond) {
			if _, err := conn.Exec(s.t.Context(), `SELECT pg_terminate_backend("pid") FROM pg_stat_activity
				WHERE "backend_type" = 'client backend' AND "pid" <> pg_backend_pid() ORDER BY random() LIMIT 1`); err != nil {
				s.t.Fatal(err)
			}
		}
	}}
	killLate = fault{name: "`kill -9`, and the name leads to a standby for 5 s longer", mayLose: true, late: lateBy, inflict: func(s *stage) {
		dead := s.cluster.primary()
		s.name.to.Store(s.cluster.standbyOf(dead))
		dead.kill()
		primary := s.cluster.primary()
		s.name.to.Store(s.cluster.standbyOf(dead, primary))
		pause(s.t.Context(), lateBy)
		s.name.to.Store(primary)
		dead.start()
	}}
)
