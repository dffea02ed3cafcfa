package shards_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// onServers are three running shards, each on its own server.
func onServers(t *testing.T, cfg sessionstore.Config) (*kit, []*testdb.Server) {
	t.Helper()
	k, servers := threeServers(t, cfg)
	k.run(t)
	return k, servers
}

// threeServers is onServers without what runs.
func threeServers(t *testing.T, cfg sessionstore.Config) (*kit, []*testdb.Server) {
	t.Helper()
	var servers []*testdb.Server
	var pools []*pgxpool.Pool
	for range 3 {
		server := testdb.NewServer(t)
		servers, pools = append(servers, server), append(pools, server.Pool())
	}
	return setup(t, testkeys.Ring(t), cfg, pools...), servers
}

func (k *kit) isUp(shard int) bool { return k.Status()[shard].IsUp }

// A shard that is down costs its own sessions an outage and no others anything; subjects sign in
// elsewhere; a sign-out everywhere ends the others, is unavailable, and is finished when the shard is
// back, without those who have signed in since.
func TestAShardThatIsDown(t *testing.T) {
	t.Parallel()
	const down = 1
	k, servers := onServers(t, config())
	home := func(shard int) string { // of someone
		for i := 0; ; i++ {
			subject := fmt.Sprintf("user-%d", i)
			if session, _ := k.create(t, sessionstore.CreateParams{Subject: subject}); sessionid.Shard(session.ID) == shard {
				return subject
			}
		}
	}
	ada, grace := home(down), home(2)
	adas, pair := k.create(t, sessionstore.CreateParams{Subject: ada})
	graces, gracesPair := k.create(t, sessionstore.CreateParams{Subject: grace})
	onOther, _, err := k.stores[2].Create(t.Context(), sessionstore.CreateParams{Subject: ada})
	if err != nil {
		t.Fatal(err)
	}

	servers[down].Stop()
	await(t, "the shard is noticed to be down", func() bool { return !k.isUp(down) })
	_, _, got := k.Get(t.Context(), string(pair.AccessToken))
	_, refreshed := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
	_, listed := k.List(t.Context(), ada, sessionstore.ListParams{})
	for what, err := range map[string]error{"Get": got, "RefreshTokens": refreshed, "List": listed, "Invalidate": k.Invalidate(t.Context(), adas.ID)} {
		if !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", what, err, sessionstore.ErrUnavailable)
		}
	}
	if _, _, err := k.Get(t.Context(), string(gracesPair.AccessToken)); err != nil {
		t.Errorf("another shard's session: %v", err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(gracesPair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Errorf("another shard's refresh: %v", err)
	}
	if err := k.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	if n, err := k.InvalidateSubject(t.Context(), ada, uuid.Nil); !errors.Is(err, sessionstore.ErrUnavailable) || n != 1 {
		t.Errorf("a sign-out everywhere: %d, %v; want 1, %v", n, err, sessionstore.ErrUnavailable)
	}
	if h, err := k.History(t.Context(), onOther.ID); err != nil || h.Session.Ended.At.IsZero() {
		t.Errorf("the session on a shard that answers: %+v, %v", h.Session.Ended, err)
	}
	since, _ := k.create(t, sessionstore.CreateParams{Subject: ada})
	if shard := sessionid.Shard(since.ID); shard == down {
		t.Error("a session was created on the shard that is down")
	}

	servers[down].Start()
	await(t, "the sign-out is finished", func() bool {
		h, err := k.History(t.Context(), adas.ID)
		return err == nil && !h.Session.Ended.At.IsZero()
	})
	for name, session := range map[string]sessionstore.Session{"signed in since": since, "of someone else": graces} {
		if h, err := k.History(t.Context(), session.ID); err != nil || !h.Session.Ended.At.IsZero() {
			t.Errorf("the session %s: %+v, %v", name, h.Session.Ended, err)
		}
	}
	if again, _ := k.create(t, sessionstore.CreateParams{Subject: ada}); sessionid.Shard(again.ID) != down {
		t.Error("the subject does not sign in at home again")
	}
	await(t, "nothing is left to be finished", func() bool {
		n := 0
		for _, pool := range k.pools {
			var some int
			if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM "sessionStoreSignOut"`).Scan(&some); err != nil {
				t.Fatal(err)
			}
			n += some
		}
		return n == 0
	})
}

// Everyone is signed out on the shards that answer, and on one that is down when it is back, but for those who have
// signed in since.
func TestSignOutAllWithoutAShard(t *testing.T) {
	t.Parallel()
	const down = 1
	k, servers := onServers(t, config())
	ids := k.spread(t, "ada", 1)
	servers[down].Stop()
	await(t, "the shard is noticed to be down", func() bool { return !k.isUp(down) })
	cause := sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut, By: "grace@ops"}
	if err := k.SignOutAll(t.Context(), cause); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("%v, want %v", err, sessionstore.ErrUnavailable)
	}
	for _, id := range ids {
		if sessionid.Shard(id) == down {
			continue
		}
		if h, err := k.History(t.Context(), id); err != nil || h.Session.Ended.Cause != cause {
			t.Errorf("a session on a shard that answers: %+v, %v", h.Session.Ended, err)
		}
	}
	var since []uuid.UUID
	for _, shard := range []int{0, 2} {
		session, _, err := k.stores[shard].Create(t.Context(), sessionstore.CreateParams{Subject: "grace"})
		if err != nil {
			t.Fatal(err)
		}
		since = append(since, session.ID)
	}
	servers[down].Start()
	await(t, "it is finished on the shard that is back", func() bool {
		h, err := k.History(t.Context(), ids[slices.IndexFunc(ids, func(id uuid.UUID) bool { return sessionid.Shard(id) == down })])
		return err == nil && h.Session.Ended.Cause == cause
	})
	for _, id := range since {
		if h, err := k.History(t.Context(), id); err != nil || !h.Session.Ended.At.IsZero() {
			t.Errorf("a session from afterwards: %+v, %v", h.Session.Ended, err)
		}
	}
	if n, err := k.RevokeSignedOut(t.Context(), nil); err != nil || n < int64(len(ids)) {
		t.Errorf("%d rows were changed, want at least %d: %v", n, len(ids), err)
	}
}

// Sign-outs that wait for one shard keep none from another.
func TestManySignOutsWaitForAShard(t *testing.T) {
	t.Parallel()
	const many = 150
	k, servers := onServers(t, config())
	ids := k.spread(t, "ada", 1)
	servers[1].Stop()
	servers[2].Stop()
	await(t, "the shards are noticed to be down", func() bool { return !k.isUp(1) && !k.isUp(2) })
	if _, err := k.pools[0].Exec(t.Context(), `
INSERT INTO "sessionStoreSignOut" ("shard", "subject", "keep", "before", "reason", "by")
SELECT 2, 'user-' || n, $1, now() - interval '1 minute', 'backend', '' FROM generate_series(1, $2::int) n`, uuid.Nil, many); err != nil {
		t.Fatal(err)
	}
	if _, err := k.InvalidateSubject(t.Context(), "ada", uuid.Nil); err == nil {
		t.Fatal("a sign-out did not need the shards that are down")
	}
	servers[1].Start()
	await(t, "the sign-out is finished on the shard that is back", func() bool {
		h, err := k.History(t.Context(), ids[slices.IndexFunc(ids, func(id uuid.UUID) bool { return sessionid.Shard(id) == 1 })])
		return err == nil && !h.Session.Ended.At.IsZero()
	})
}

// A database that hangs keeps the notes in no other one from being read.
func TestNotesDoNotWaitForADatabaseThatHangs(t *testing.T) {
	t.Parallel()
	k := layouts[0].setup(t, config())
	ids := k.spread(t, "ada", 1)
	hanging, err := k.pools[0].Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hanging.Rollback(t.Context()) }() // it has changed nothing
	if _, err := hanging.Exec(t.Context(), `LOCK TABLE "sessionStoreSignOut"`); err != nil {
		t.Fatal(err)
	}
	if _, err := k.pools[2].Exec(t.Context(), `
INSERT INTO "sessionStoreSignOut" ("shard", "subject", "keep", "before", "reason", "by") VALUES (1, 'ada', $1, now(), 'backend', '')`, uuid.Nil); err != nil {
		t.Fatal(err)
	}
	k.run(t)
	await(t, "the sign-out noted in another database is finished", func() bool {
		h, err := k.History(t.Context(), ids[slices.IndexFunc(ids, func(id uuid.UUID) bool { return sessionid.Shard(id) == 1 })])
		return err == nil && !h.Session.Ended.At.IsZero()
	})
}

// reads are the statements about notes that a pool has sent, in their order.
type reads struct {
	mu  sync.Mutex
	sql []string
}

func (r *reads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	for _, of := range []string{"sessionStoreSignOut", "sessionStoreUncounted"} {
		if strings.Contains(data.SQL, `FROM "`+of+`"`) && strings.HasPrefix(strings.TrimSpace(data.SQL), "SELECT") {
			r.mu.Lock()
			r.sql = append(r.sql, of)
			r.mu.Unlock()
		}
	}
	return ctx
}

func (*reads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// However many sign-outs wait for a shard, none waits for a further look when it is back: until then its users are
// still signed in there.
func TestManySignOutsAreFinishedAtOnce(t *testing.T) {
	t.Parallel()
	const many = 250
	k := layouts[0].setup(t, config())
	if _, err := k.pools[0].Exec(t.Context(), `
INSERT INTO "sessionStoreSignOut" ("shard", "subject", "keep", "before", "reason", "by")
SELECT 1, 'user-' || n, $1, now(), 'backend', '' FROM generate_series(1, $2::int) n`, uuid.Nil, many); err != nil {
		t.Fatal(err)
	}
	var seen reads
	cfg := k.cfg.Shards[0].Pool.Config()
	cfg.ConnConfig.Tracer = &seen
	traced, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer traced.Close()
	k.cfg.Shards[0].Pool = traced
	k.restart(t)
	stop := k.run(t)
	await(t, "all are finished", func() bool {
		var n int
		if err := k.pools[0].QueryRow(t.Context(), `SELECT count(*) FROM "sessionStoreSignOut"`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
	stop()
	if n := slices.Index(seen.sql, "sessionStoreUncounted"); n >= 0 && n < many/100 {
		t.Errorf("the first look ended after %d parts: %v", n, seen.sql)
	}
}

// A sign-out is finished later even if the first shard is the one that is down, and leaves the
// session that was to stay, and those that were created later.
func TestAFirstShardThatIsDown(t *testing.T) {
	t.Parallel()
	k, servers := onServers(t, config())
	ids := k.spread(t, "ada", 2)
	kept := ids[slices.IndexFunc(ids, func(id uuid.UUID) bool { return sessionid.Shard(id) == 0 })]
	servers[0].Stop()
	await(t, "the shard is noticed to be down", func() bool { return !k.isUp(0) })
	cause := sessionstore.Cause{Reason: sessionstore.ReasonSignedOutEverywhere, By: kept.String()}
	if _, err := k.InvalidateSubject(t.Context(), "ada", kept, cause); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	servers[0].Start()
	await(t, "the sign-out is finished", func() bool {
		page, err := k.List(t.Context(), "ada", sessionstore.ListParams{})
		return err == nil && len(page.Sessions) == 1 && page.Sessions[0].ID == kept
	})
	for _, id := range ids {
		if h, err := k.History(t.Context(), id); err != nil || id != kept && h.Session.Ended.Cause != cause {
			t.Errorf("%s: %+v, %v; want %+v", id, h.Session.Ended, err, cause)
		}
	}
}

// A service that starts while a shard is down serves the others, and the shard once it is there.
func TestAShardThatIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	k := setup(t, testkeys.Ring(t), config(), testdb.Pool(t), server.Pool())
	k.weigh(t, 0, 1)
	session, pair := k.create(t, sessionstore.CreateParams{Subject: "ada"})
	server.Stop()
	k.weigh(t, 1, 1)
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("before it is there: %v", err)
	}
	for i := range 10 {
		k.create(t, sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
	}
	k.run(t)
	server.Start()
	await(t, "the shard is used", func() bool {
		got, _, err := k.Get(t.Context(), string(pair.AccessToken))
		return err == nil && got.ID == session.ID
	})
}

// A database that is another shard than it is said to be is refused. The order in which shards are
// named does not matter.
func TestAWrongShard(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			slices.Reverse(k.cfg.Shards[1:])
			k.restart(t)
			entries, err := shards.Entries(t.Context(), k.pools[0])
			if err != nil {
				t.Fatal(err)
			}
			k.cfg.Shards[1].Check = func(ctx context.Context) error { return check(ctx, k.pools[2], entries[0]) }
			router, err := shards.New(k.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := router.Check(t.Context()); !errors.Is(err, shards.ErrWrong) {
				t.Errorf("%v, want %v", err, shards.ErrWrong)
			}
		})
	}
}
