package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// longPeriod is one whose end no test meets.
const longPeriod = 100_000 * time.Hour

// patience covers the queue's random pauses, an election after a lost leader, and a slow machine.
const patience = 60 * time.Second

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func TestNewRefusesWhatItCannotRun(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)

	for name, cfg := range map[string]jobs.Config{
		"nothing":         {},
		"no pool":         {Logger: slog.New(slog.DiscardHandler), Sessions: &sessions{}},
		"a hasty cleanup": {Pool: pool, Logger: slog.New(slog.DiscardHandler), Sessions: &sessions{}, CleanupInterval: time.Millisecond},
	} {
		if _, err := jobs.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReplicasCleanUpOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)

	first, second := s.run(longPeriod), s.run(longPeriod)
	s.awaitRuns(1)
	s.awaitState("completed")
	first.stop()
	second.stop()
	// A replica that starts later becomes leader and finds that the period's run is done.
	third := s.run(longPeriod)
	s.awaitLeader()
	time.Sleep(3 * time.Second) // the schedule starts within one
	third.stop()

	if got := s.sessions.runs(); got != 1 {
		t.Errorf("cleanup ran %d times, want once", got)
	}
}

func TestCleanupRunsOnceAPeriod(t *testing.T) {
	t.Parallel()
	s := setup(t)

	began := time.Now()
	replicas := []*replica{s.run(time.Second), s.run(time.Second)}
	s.awaitRuns(4)
	for _, r := range replicas {
		r.stop()
	}
	took := time.Since(began)

	// Each period has one run, and the first need not have been a whole one.
	if most := int(took/time.Second) + 2; s.sessions.runs() > most {
		t.Errorf("cleanup ran %d times in %v, want at most %d times", s.sessions.runs(), took, most)
	}
	if s.sessions.mostAtOnce() != 1 {
		t.Errorf("%d runs of cleanup at once", s.sessions.mostAtOnce())
	}
}

func TestNoInterval(t *testing.T) {
	t.Parallel()
	s := setup(t)

	r := s.run(0)
	s.awaitLeader()
	time.Sleep(3 * time.Second) // a schedule would start within one
	r.stop()

	if rows := s.count(`SELECT count(*) FROM ` + migrations.RiverSchema + `.river_job`); rows != 0 || s.sessions.runs() != 0 {
		t.Errorf("%d jobs and %d runs without an interval", rows, s.sessions.runs())
	}
}

func TestInterruptedRunGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	s := setup(t)

	s.sessions.block()
	first := s.run(longPeriod)
	s.awaitRuns(1)
	second := s.run(longPeriod)
	first.stop() // in the middle of the run, which does not end by itself
	s.sessions.unblock()
	s.awaitRuns(2)
	s.awaitState("completed")
	second.stop()

	if attempts := s.count(`SELECT attempt FROM ` + migrations.RiverSchema + `.river_job`); attempts != 1 {
		t.Errorf("the interruption counted as a failure: %d attempts", attempts)
	}
	if log := s.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "failed") {
		t.Errorf("an interruption is not to be logged as a failure:\n%s", log)
	}
}

func TestFailureIsLoggedAndTriedAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)

	s.sessions.fail(errors.New("the disk is full"))
	r := s.run(longPeriod)
	s.awaitRuns(2)
	r.stop()

	if log := s.log.String(); !strings.Contains(log, `level=WARN msg="a job failed" job=session_cleanup attempt=1 of=5`) ||
		!strings.Contains(log, "the disk is full") {
		t.Errorf("the failure is not in the log:\n%s", log)
	}
}

func TestBusyCleanupWaits(t *testing.T) {
	t.Parallel()
	s := setup(t)

	s.sessions.fail(errBusy)
	r := s.run(longPeriod)
	s.awaitRuns(1)
	s.awaitState("scheduled")
	r.stop()

	if log := s.log.String(); strings.Contains(log, "failed") {
		t.Errorf("another runner is not a failure:\n%s", log)
	}
}

func TestDatabaseRestart(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	s := setupOn(t, server.Pool())

	r := s.run(time.Second)
	s.awaitRuns(1)
	server.Kill()
	s.await("word of it", func() bool { return strings.Contains(s.log.String(), `level=ERROR msg="the database is away" error=`) })
	server.Start()
	s.awaitRuns(s.sessions.runs() + 2)
	s.await("word of its end", func() bool {
		return strings.Contains(s.log.String(), `level=INFO msg="the database is back" away_seconds=`)
	})
	r.stop()
	// The queue itself logs nothing about it.
	if log := s.log.String(); strings.Count(log, "level=ERROR") != 1 || strings.Count(log, "the database is back") != 1 {
		t.Errorf("said:\n%s", log)
	}
}

func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	server.Stop()
	s := setupOn(t, server.Pool())

	const said = "the database is away"
	r := s.run(longPeriod)
	s.await("word of it", func() bool { return strings.Contains(s.log.String(), said) })
	r.stop() // ends although there never was a database

	r = s.run(longPeriod)
	s.await("word of it again", func() bool { return strings.Count(s.log.String(), said) > 1 })
	server.Start()
	s.awaitRuns(1)
	r.stop()
}

// The hanging server has accepted the connection and sends nothing.
func TestStopWhileTheStartHangs(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	pool, err := pgxpool.New(t.Context(), "postgres://latchkey@"+listener.Addr().String()+"/latchkey?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	s := setupOn(t, pool)

	r := s.run(longPeriod)
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	r.stop() // what it waits for never comes
}

var errBusy = sessionstore.ErrCleanupRunning

// scene is a database with replicas on it.
type scene struct {
	t        *testing.T
	pool     *pgxpool.Pool
	sessions *sessions
	log      *syncBuffer
}

func setup(t *testing.T) *scene {
	t.Helper()
	return setupOn(t, testdb.Pool(t))
}

func setupOn(t *testing.T, pool *pgxpool.Pool) *scene {
	t.Helper()
	s := &scene{t: t, pool: pool, sessions: newSessions(), log: &syncBuffer{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", s.log)
		}
	})
	return s
}

type replica struct{ stop func() }

// run starts a replica. It has its own pool, as a separate process would.
func (s *scene) run(interval time.Duration) *replica {
	s.t.Helper()
	pool, err := pgxpool.NewWithConfig(s.t.Context(), s.pool.Config())
	if err != nil {
		s.t.Fatal(err)
	}
	runner, err := jobs.New(jobs.Hurried(jobs.Config{
		Pool: pool, Sessions: s.sessions, CleanupInterval: interval,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("Run returned %v", err)
		}
		pool.Close()
	})
	s.t.Cleanup(stop)
	return &replica{stop}
}

func (s *scene) await(what string, done func() bool) {
	s.t.Helper()
	for began := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			s.t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

func (s *scene) awaitRuns(n int) {
	s.t.Helper()
	s.await("runs of cleanup", func() bool { return s.sessions.runs() >= n })
}

func (s *scene) awaitLeader() {
	s.t.Helper()
	s.await("a leader", func() bool {
		return s.count(`SELECT count(*) FROM `+migrations.RiverSchema+`.river_leader`) == 1
	})
}

func (s *scene) awaitState(state string) {
	s.t.Helper()
	s.await("a job that is "+state, func() bool {
		return s.count(`SELECT count(*) FROM `+migrations.RiverSchema+`.river_job WHERE state::text = $1`, state) == 1
	})
}

func (s *scene) count(query string, args ...any) (n int) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), query, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}
