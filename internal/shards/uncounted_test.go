package shards_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// outage is a way in which a shard of three is down.
type outage struct {
	name       string
	down       int
	isDrained  bool
	isAtStart  bool // the router begins without it
	ownServers bool
	layout     *layout // whose shard is not recognised, since it cannot be taken away
}

func outages() []outage {
	all := []outage{
		{name: "a server stops", down: 1, ownServers: true},
		{name: "the first shard", down: 0},
		{name: "a drained shard", down: 1, isDrained: true},
		{name: "at the start", down: 1, isAtStart: true},
	}
	for i := range layouts {
		all = append(all, outage{name: "of " + layouts[i].name, down: 1, isAtStart: true, layout: &layouts[i]})
	}
	return all
}

// setup returns what takes the shard away and brings it back. Nothing runs.
func (o outage) setup(t *testing.T, cfg sessionstore.Config) (k *kit, stop, start func()) {
	t.Helper()
	if o.ownServers {
		k, servers := threeServers(t, cfg)
		return k, servers[o.down].Stop, servers[o.down].Start
	}
	if o.layout != nil {
		k = o.layout.setup(t, cfg)
		var isDown atomic.Bool
		check := k.cfg.Shards[o.down].Check
		k.cfg.Shards[o.down].Check = func(ctx context.Context) error {
			if isDown.Load() {
				return errors.New("it is down")
			}
			return check(ctx)
		}
		return k, func() { isDown.Store(true) }, func() { isDown.Store(false) }
	}
	k = setup(t, testkeys.Ring(t), cfg, testdb.Pool(t), testdb.Pool(t), testdb.Pool(t))
	admin := k.pools[o.down].Config().ConnConfig.Copy()
	name := pgx.Identifier{admin.Database}.Sanitize()
	admin.Database = "template1" // tests copy the other one
	exec := func(sql string, args ...any) {
		t.Helper()
		conn, err := pgx.ConnectConfig(t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), sql, args...)
		if err := errors.Join(err, conn.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	start = func() { exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS true`) }
	return k, func() {
		exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`)
		exec(`SELECT pg_terminate_backend("pid") FROM pg_stat_activity WHERE "datname" = $1`, k.pools[o.down].Config().ConnConfig.Database)
	}, start
}

// takeAway takes the shard away, and returns what ends the replica that has noticed.
func (o outage) takeAway(t *testing.T, k *kit, stop func()) (end func()) {
	t.Helper()
	if o.isDrained {
		weights := []float64{1, 1, 1}
		weights[o.down] = 0
		k.weigh(t, weights...)
	}
	if !o.isAtStart {
		end = k.run(t)
	}
	if stop(); o.isAtStart {
		k.restart(t)
		end = k.run(t)
	}
	await(t, "the shard is noticed to be down", func() bool { return !k.isUp(o.down) })
	return end
}

// on creates a session on a shard, whichever the subject's home is.
func (k *kit) on(t *testing.T, shard int, subject string) sessionstore.Session {
	t.Helper()
	session, _, err := k.stores[shard].Create(t.Context(), sessionstore.CreateParams{Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// in is create for a subject alone.
func (k *kit) in(t *testing.T, subject string) sessionstore.Session {
	t.Helper()
	session, _ := k.create(t, sessionstore.CreateParams{Subject: subject})
	return session
}

// awaitLimit runs two replicas, until nothing is left to be settled.
func (k *kit) awaitLimit(t *testing.T) {
	t.Helper()
	for range 2 {
		k.restart(t)
		k.run(t)
	}
	await(t, "nothing is left to be settled", func() bool { return k.notes(t) == 0 })
}

// notes are those in the databases that answer.
func (k *kit) notes(t *testing.T, down ...int) (n int) {
	t.Helper()
	for i, pool := range k.pools {
		if slices.Contains(down, i) {
			continue
		}
		var some int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM "sessionStoreUncounted"`).Scan(&some); err != nil {
			t.Fatal(err)
		}
		n += some
	}
	return n
}

// wantEnded requires that a session has ended because of the limit, for another one or none.
func (k *kit) wantEnded(t *testing.T, what string, id, by uuid.UUID) {
	t.Helper()
	want := sessionstore.Cause{Reason: sessionstore.ReasonLimit}
	if by != uuid.Nil {
		want.By = by.String()
	}
	if h, err := k.History(t.Context(), id); err != nil || h.Session.Ended.Cause != want {
		t.Errorf("%s: %+v, %v; want %+v", what, h.Session.Ended, err, want)
	}
}

func (k *kit) wantLive(t *testing.T, what string, ids ...uuid.UUID) {
	t.Helper()
	for _, id := range ids {
		if h, err := k.History(t.Context(), id); err != nil || !h.Session.Ended.At.IsZero() {
			t.Errorf("%s: %+v, %v", what, h.Session.Ended, err)
		}
	}
}

// A shard that is down stops no sign-in under a limit. As soon as it is back, what would have ended has ended, even if
// those for which it ends have ended meanwhile; nothing else has. The replicas that do it are others
// than the one that created the sessions.
func TestTheLimitWithoutAShard(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			k, stop, start := o.setup(t, limited(2, sessionstore.EndOldest))
			other := (o.down + 1) % 3

			surpassed, known := k.on(t, o.down, "surpassed"), k.on(t, other, "surpassed")
			left := k.on(t, o.down, "left")
			oldest, middle := k.on(t, other, "older elsewhere"), k.on(t, o.down, "older elsewhere")
			room := k.on(t, o.down, "room")
			seldom := k.on(t, o.down, "seldom")
			replaced, beside := k.on(t, other, "replacing"), k.on(t, o.down, "replacing")
			end := o.takeAway(t, k, stop)

			surpassing := []sessionstore.Session{k.in(t, "surpassed"), k.in(t, "surpassed")}
			k.wantEnded(t, "the oldest that was counted", known.ID, surpassing[1].ID)
			leaving := []sessionstore.Session{k.in(t, "left"), k.in(t, "left")}
			for _, s := range leaving {
				if err := k.Invalidate(t.Context(), s.ID); err != nil {
					t.Fatal(err)
				}
			}
			newest := k.in(t, "older elsewhere")
			only := k.in(t, "room")
			for range 3 { // one at a time
				if err := k.Invalidate(t.Context(), k.in(t, "seldom").ID); err != nil {
					t.Fatal(err)
				}
			}
			replacing, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: replaced.ID}, sessionstore.CreateParams{Subject: "replacing"})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 8 { // whichever their homes are
				if session := k.in(t, fmt.Sprintf("user-%d", i)); sessionid.Shard(session.ID) == o.down {
					t.Error("a session was created on the shard that is down")
				}
			}
			if err := k.Ping(t.Context()); err != nil {
				t.Errorf("Ping: %v", err)
			}
			k.wantLive(t, "as long as the shard is down", oldest.ID, newest.ID, replacing.ID, only.ID)

			end()
			start()
			k.awaitLimit(t)
			k.wantEnded(t, "one that two newer ones surpass", surpassed.ID, surpassing[1].ID)
			k.wantEnded(t, "one that two newer ones surpassed", left.ID, leaving[1].ID)
			k.wantEnded(t, "the oldest, on another shard", oldest.ID, newest.ID)
			k.wantLive(t, "two newest", surpassing[0].ID, surpassing[1].ID, middle.ID, newest.ID, room.ID, only.ID)
			k.wantLive(t, "one that never was beside two newer ones", seldom.ID)
			k.wantLive(t, "one that was beside a session and its replacement", beside.ID, replacing.ID)
			k.in(t, "room")
			k.wantLive(t, "the newer one of two", only.ID)
			if h, err := k.History(t.Context(), room.ID); err != nil || h.Session.Ended.At.IsZero() {
				t.Errorf("the limit does not hold: %+v, %v", h.Session.Ended, err)
			}
		})
	}
}

// Where the limit refuses sessions, one that was created while others could not be counted ends when they are
// counted and leave no room, however often it was replaced. No other one does.
func TestTheLimitRefusesWithoutAShard(t *testing.T) {
	t.Parallel()
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			k, stop, start := o.setup(t, limited(2, sessionstore.RefuseNew))
			other := (o.down + 1) % 3
			full := []uuid.UUID{k.on(t, o.down, "full").ID, k.on(t, other, "full").ID}
			room := k.on(t, o.down, "room").ID
			renewed, beside := k.on(t, other, "renewed").ID, k.on(t, o.down, "renewed").ID
			end := o.takeAway(t, k, stop)

			replace := func(id uuid.UUID) uuid.UUID {
				t.Helper()
				session, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: id}, sessionstore.CreateParams{})
				if err != nil {
					t.Fatal(err)
				}
				return session.ID
			}
			extra := replace(replace(k.in(t, "full").ID))
			if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "full"}); !errors.Is(err, sessionstore.ErrTooManySessions) {
				t.Errorf("a third session that is counted: %v", err)
			}
			fits := k.in(t, "room").ID
			tooMany := k.in(t, "renewed").ID
			renewed = replace(renewed)

			end()
			start()
			k.awaitLimit(t)
			k.wantEnded(t, "one beyond the limit, under its last id", extra, uuid.Nil)
			k.wantLive(t, "those from before", full...)
			k.wantLive(t, "one for which there was room", room, fits)
			k.wantEnded(t, "one beyond the limit", tooMany, uuid.Nil)
			k.wantLive(t, "one that took the place of another", renewed, beside)
			if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "room"}); !errors.Is(err, sessionstore.ErrTooManySessions) {
				t.Errorf("a third session: %v", err)
			}
		})
	}
}

// While two shards are down, the sessions on one of them do not wait for the other.
func TestTheLimitWithoutTwoShards(t *testing.T) {
	t.Parallel()
	k, servers := threeServers(t, limited(1, sessionstore.EndOldest))
	first, second := k.on(t, 1, "ada"), k.on(t, 2, "ada")
	k.run(t)
	servers[1].Stop()
	servers[2].Stop()
	await(t, "the shards are noticed to be down", func() bool { return !k.isUp(1) && !k.isUp(2) })
	newest := k.in(t, "ada")
	servers[1].Start()
	ended := func(id uuid.UUID) func() bool {
		return func() bool {
			h, err := k.History(t.Context(), id)
			return err == nil && h.Session.Ended.Cause == sessionstore.Cause{Reason: sessionstore.ReasonLimit, By: newest.ID.String()}
		}
	}
	await(t, "the session on the shard that is back ends", ended(first.ID))
	if err := k.Invalidate(t.Context(), newest.ID); err != nil {
		t.Fatal(err)
	}
	servers[2].Start()
	await(t, "the session on the other shard ends", ended(second.ID))
	await(t, "nothing is left to be settled", func() bool { return k.notes(t) == 0 })
}

// However often a subject signs in while a shard is down, there are few notes, and those that wait for one shard keep none
// from another. A shard with notes is not removed.
func TestNotesOfTheLimit(t *testing.T) {
	t.Parallel()
	const most, many = 3, 150
	o := outage{down: 1}
	k, stop, start := o.setup(t, limited(most, sessionstore.EndOldest))
	old := k.on(t, o.down, "ada")
	o.takeAway(t, k, stop)
	for range 10 * most {
		k.in(t, "ada")
	}
	if n := k.notes(t, o.down); n != 1 {
		t.Errorf("%d notes of sessions that were all surpassed, want 1", n)
	}
	for range 4 {
		var all []uuid.UUID
		for range most {
			all = append(all, k.in(t, "ada").ID)
		}
		for _, id := range all {
			if err := k.Invalidate(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := k.notes(t, o.down); n > most {
		t.Errorf("%d notes of a subject that may have %d sessions", n, most)
	}
	if _, err := k.pools[0].Exec(t.Context(), `
INSERT INTO "sessionStoreUncounted" SELECT 1, 'user-' || n, gen_random_uuid(), now(), ARRAY[now()], '{1}' FROM generate_series(1, $1::int) n`, many); err != nil {
		t.Fatal(err)
	}
	if _, err := k.pools[0].Exec(t.Context(), `
INSERT INTO "sessionStoreUncounted" SELECT 99, 'user-' || n, gen_random_uuid(), now(), ARRAY[now()], '{99}' FROM generate_series(1, $1::int) n`, many); err != nil {
		t.Fatal(err)
	}
	start()
	k.restart(t)
	k.run(t)
	await(t, "all notes that can be settled are", func() bool { return k.notes(t) == many })
	if h, err := k.History(t.Context(), old.ID); err != nil || h.Session.Ended.Reason != sessionstore.ReasonLimit {
		t.Errorf("the session that was surpassed: %+v, %v", h.Session.Ended, err)
	}
	entries, err := shards.Entries(t.Context(), k.pools[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Invalidate(t.Context(), k.on(t, 2, "grace").ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.pools[2].Exec(t.Context(), `INSERT INTO "sessionStoreUncounted" VALUES (99, 'ada', gen_random_uuid(), now(), ARRAY[now()], '{99}')`); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e shards.Entry) bool { return e.Number == 2 })
	page, err := k.stores[2].Find(t.Context(), sessionstore.FindParams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range page.Sessions {
		if err := k.Invalidate(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := shards.Remove(t.Context(), k.pools[0], entries[i], k.pools[2], k.stores[2]); err == nil {
		t.Error("a shard with a note was removed")
	}
}

// A subject whose sign-out everywhere still waits for the shard is not signed out again because of the sessions that it
// ends there: however many sign-outs are to be finished first, and whichever database has the note.
func TestTheLimitAfterASignOutEverywhere(t *testing.T) {
	t.Parallel()
	const down, many = 1, 250
	o := outage{down: down}
	k, stop, start := o.setup(t, limited(1, sessionstore.RefuseNew))
	old := k.on(t, down, "ada")
	end := o.takeAway(t, k, stop)
	for _, pool := range []int{0, 2} {
		if _, err := k.pools[pool].Exec(t.Context(), `
INSERT INTO "sessionStoreSignOut" ("shard", "subject", "keep", "before", "reason", "by")
SELECT $1, 'user-' || n, $2, now() - interval '1 minute', 'backend', '' FROM generate_series(1, $3::int) n`, down, uuid.Nil, many); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.InvalidateSubject(t.Context(), "ada", uuid.Nil); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("a sign-out did not need the shard that is down: %v", err)
	}
	since := k.in(t, "ada")

	end()
	start()
	k.awaitLimit(t)
	k.wantLive(t, "the session from after the sign-out", since.ID)
	await(t, "the sign-out is finished", func() bool {
		h, err := k.History(t.Context(), old.ID)
		return err == nil && h.Session.Ended.Reason == sessionstore.ReasonBackend
	})
}

// Replicas that settle notes of the same subject in two databases end together as many sessions as are over the limit, and the
// newest first.
func TestTheLimitIsSettledOnceForASubject(t *testing.T) {
	t.Parallel()
	const down, other = 1, 2
	o := outage{down: down}
	k, stop, start := o.setup(t, limited(2, sessionstore.RefuseNew))
	k.weigh(t, 1, 0, 0)
	old := k.on(t, down, "ada")
	end := o.takeAway(t, k, stop)
	home := k.in(t, "ada")
	guest, _, err := k.stores[other].Create(t.Context(), sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	newest, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{Subject: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if n := k.notes(t, down); n != 2 {
		t.Fatalf("%d notes, want one on each shard that is up", n)
	}

	// No session can end until both replicas wait for something.
	release := func() {}
	for i, id := range map[int]uuid.UUID{0: home.ID, other: newest.ID} {
		tx, err := k.pools[i].Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `SELECT FROM "sessionStore" WHERE "id" = $1 FOR UPDATE`, id); err != nil {
			t.Fatal(err)
		}
		before := release
		release = func() {
			before()
			if err := tx.Rollback(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	end()
	start()
	for range 2 {
		k.restart(t)
		k.run(t)
	}
	await(t, "both replicas are at the notes", func() bool {
		var n int
		if err := k.pools[0].QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE "wait_event_type" = 'Lock' AND "datname" = ANY ($1)`,
			[]string{k.pools[0].Config().ConnConfig.Database, k.pools[other].Config().ConnConfig.Database}).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n >= 2
	})
	release()
	await(t, "nothing is left to be settled", func() bool { return k.notes(t) == 0 })
	k.wantLive(t, "the first two", old.ID, home.ID)
	k.wantEnded(t, "the newest", newest.ID, uuid.Nil)
}

// Where the limit refuses sessions, a subject that signs in and out again and again while a shard is down leaves no note of
// each time.
func TestNotesOfSessionsThatHaveEnded(t *testing.T) {
	t.Parallel()
	o := outage{down: 1}
	k, stop, _ := o.setup(t, limited(2, sessionstore.RefuseNew))
	o.takeAway(t, k, stop)
	live := k.in(t, "ada")
	for range 10 {
		if err := k.Invalidate(t.Context(), k.in(t, "ada").ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := k.notes(t, o.down); n > 2 {
		t.Errorf("%d notes of a subject with one live session and a last one", n)
	}
	if n := k.notesOf(t, live.ID); n != 1 {
		t.Errorf("%d notes of the session that is live, want 1", n)
	}
}

// notesOf counts a session's, on its own shard.
func (k *kit) notesOf(t *testing.T, id uuid.UUID) (n int) {
	t.Helper()
	if err := k.pools[sessionid.Shard(id)].QueryRow(t.Context(), `SELECT count(*) FROM "sessionStoreUncounted" WHERE "session" = $1`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
