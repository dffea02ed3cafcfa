package replicas_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/replicas"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func setup(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func exec(t *testing.T, pool *pgxpool.Pool, query string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// await waits for as many replicas.
func await(t *testing.T, pool *pgxpool.Pool, n int) []replicas.Replica {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		found, err := replicas.List(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == n {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %d replicas: %+v", n, found)
		}
	}
}

// run runs a replica until stop is called.
func run(t *testing.T, pool *pgxpool.Pool, name string, facts replicas.Facts, log *slog.Logger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	runner := replicas.New(replicas.Config{Pool: pool, Name: name, Version: "1.2.3", Facts: func() replicas.Facts { return facts }, Logger: log})
	go func() { ended <- runner.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// Replicas are listed while they run, with what they report; a killed one is silent, and is
// forgotten after an hour.
func TestReplicas(t *testing.T) {
	t.Parallel()
	pool, log := setup(t), slog.New(slog.DiscardHandler)
	known := replicas.Facts{Offset: -3 * time.Millisecond, Uncertainty: time.Millisecond, IsClockKnown: true, RevocationsAge: 250 * time.Millisecond}
	unknown := replicas.Facts{RevocationsAge: -1}
	stopA, stopB := run(t, pool, "a", known, log), run(t, pool, "b", unknown, log)
	found := await(t, pool, 2)
	want := []replicas.Replica{{Facts: known, Name: "a", Version: "1.2.3"}, {Facts: unknown, Name: "b", Version: "1.2.3"}}
	if diff := cmp.Diff(want, found, cmpopts.IgnoreFields(replicas.Replica{}, "StartedAt", "SeenAt")); diff != "" {
		t.Error(diff)
	}
	stopB()
	if left := await(t, pool, 1); left[0].Name != "a" || left[0].IsSilent || left[0].StartedAt.IsZero() {
		t.Errorf("%+v", left)
	}
	exec(t, pool, `INSERT INTO "sessionStoreReplica" SELECT gen_random_uuid(), "name" || "n", "version", "startedAt", now() - "n" * interval '1 min' FROM "sessionStoreReplica", (VALUES (1), (61), (62)) v("n")`)
	if found := await(t, pool, 4); !found[1].IsSilent || !found[3].IsSilent {
		t.Errorf("%+v", found)
	}
	stopA()
	stopC := run(t, pool, "c", known, log)
	defer stopC()
	if found := await(t, pool, 2); found[0].Name != "a1" || found[1].Name != "c" {
		t.Errorf("%+v", found)
	}
}

// Where it cannot be noted, the replica runs, and says so once.
func TestReplicaThatCannotBeNoted(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	exec(t, pool, `DROP TABLE "sessionStoreReplica"`)
	var log bytes.Buffer
	told := make(chan struct{}, 1)
	stop := run(t, pool, "a", replicas.Facts{}, slog.New(signal{slog.NewTextHandler(&log, nil), told}))
	<-told
	stop()
	if n := strings.Count(log.String(), "cannot record which replicas run"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	if _, err := replicas.List(t.Context(), pool); err == nil {
		t.Error("no error")
	}
}

// signal reports that something was logged.
type signal struct {
	slog.Handler

	told chan<- struct{}
}

func (s signal) Handle(ctx context.Context, r slog.Record) error {
	err := s.Handler.Handle(ctx, r)
	select {
	case s.told <- struct{}{}:
	default:
	}
	return err
}
