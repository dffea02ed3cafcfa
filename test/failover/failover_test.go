//go:build linux

package failover_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// However the primary fails, no user is signed out, what was revoked stays revoked, and requests that fail are 503.
func TestFailover(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	settings := testservice.OnDatabase(t, c.url()).With(testservice.Env{"LATCHKEY_ISSUER": issuer, "LATCHKEY_REFRESH_GRACE": grace.String()})
	testservice.Run(t, t.TempDir(), settings, "migrate")
	wrote := startWriters(t, c)
	var rows []figures
	for _, run := range []struct { //nolint:paralleltest // there is one cluster
		address string
		// before puts something before the nodes: settings that lead through it.
		before        func(*testing.T, *stage) testservice.Env
		short         []fault
		further       []fault // in the long form
		synchronously []fault // in it too
	}{
		{"HAProxy", behindHAProxy, []fault{kill, switchover}, []fault{crash, freeze, terminate}, []fault{killSynchronous, switchoverSynchronous}},
		{"URL with three hosts", byHosts, nil, []fault{kill, switchover, freeze, terminate}, nil},
		{"PgBouncer, HAProxy", behindPgBouncer, nil, []fault{kill, switchover, freeze, terminate}, nil},
		{"a name", byName, nil, []fault{killLate}, nil},
	} {
		if len(run.short) == 0 && !*long {
			continue
		}
		t.Run(run.address, func(t *testing.T) {
			c.t = t
			s := &stage{t: t, cluster: c, address: run.address, wrote: wrote}
			s.start(settings.With(run.before(t, s)))
			faults := run.short
			if *long {
				faults = append(faults, run.further...)
			}
			for _, f := range faults {
				rows = append(rows, s.run(f))
			}
			if !*long || len(run.synchronously) == 0 {
				return
			}
			c.synchronous(true)
			for _, f := range run.synchronously {
				rows = append(rows, s.run(f))
			}
			s.steady()
			c.synchronous(false)
		})
	}
	t.Logf("\n%s", table(rows))
	if *update && !t.Failed() {
		write(t, rows)
	}
}

func behindHAProxy(t *testing.T, s *stage) testservice.Env {
	t.Helper()
	return testservice.Env{"LATCHKEY_DATABASE_URL": databaseURL(startHAProxy(t, s.cluster))}
}

func byHosts(t *testing.T, s *stage) testservice.Env {
	t.Helper()
	return testservice.Env{"LATCHKEY_DATABASE_URL": s.cluster.url()}
}

func behindPgBouncer(t *testing.T, s *stage) testservice.Env {
	t.Helper()
	balancer := startHAProxy(t, s.cluster)
	return testservice.Env{
		"LATCHKEY_DATABASE_URL":        databaseURL(startPgBouncer(t, balancer)),
		"LATCHKEY_DIRECT_DATABASE_URL": databaseURL(balancer),
	}
}

func byName(t *testing.T, s *stage) testservice.Env {
	t.Helper()
	s.name = newName(t, s.cluster.primary())
	return testservice.Env{"LATCHKEY_DATABASE_URL": databaseURL(s.name.address)}
}
