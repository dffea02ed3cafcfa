package shards_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func register(t *testing.T, first, shard *pgxpool.Pool, name string) shards.Entry {
	t.Helper()
	e, _, err := shards.Register(t.Context(), first, shard, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return e
}

func refuses(t *testing.T, what string, first, shard *pgxpool.Pool, name string) {
	t.Helper()
	if e, _, err := shards.Register(t.Context(), first, shard, name); !errors.Is(err, shards.ErrWrong) {
		t.Errorf("%s: %+v, %v", what, e, err)
	}
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// A database keeps its number for good, whatever it is called and in whatever order.
func TestAShardKeepsItsNumber(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			pools := three.pools(t)
			first, one, two := pools[0], pools[1], pools[2]
			if e := register(t, first, one, "east"); e.Number != 1 {
				t.Errorf("the first one added has the number %d", e.Number)
			}
			if e := register(t, first, two, "west"); e.Number != 2 {
				t.Errorf("the second one added has the number %d", e.Number)
			}
			if e, isNew, err := shards.Register(t.Context(), first, one, "east"); err != nil || isNew || e.Number != 1 {
				t.Errorf("again: %+v, %v, %v", e, isNew, err)
			}
			if e := register(t, first, one, "north"); e.Number != 1 || e.Name != "north" {
				t.Errorf("under another name: %+v", e)
			}
			refuses(t, "a name that is another's", first, two, "north")
			entries, err := shards.Entries(t.Context(), first)
			if err != nil || len(entries) != 2 {
				t.Fatalf("%+v, %v", entries, err)
			}
			north, _ := shards.Find(entries, "north")
			west, _ := shards.Find(entries, "west")
			for _, c := range []struct {
				pool *pgxpool.Pool
				want shards.Entry
				err  error
			}{{one, north, nil}, {two, west, nil}, {one, west, shards.ErrWrong}, {two, north, shards.ErrWrong}, {first, north, shards.ErrWrong}, {testdb.Pool(t), north, shards.ErrWrong}} {
				if err := check(t.Context(), c.pool, c.want); !errors.Is(err, c.err) {
					t.Errorf("%+v: %v, want %v", c.want, err, c.err)
				}
			}
		})
	}
}

// A database that is not a shard of this installation is refused, and nothing is registered.
func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	first, one, other, othersShard := testdb.Pool(t), testdb.Pool(t), testdb.Pool(t), testdb.Pool(t)
	refuses(t, "the first one's own database, as the first shard", first, first, "east")
	register(t, first, one, "east")
	refuses(t, "the first one's own database", first, first, "west")
	refuses(t, "the first one's own database under a name that is taken", first, first, "east")
	register(t, other, othersShard, "east")
	refuses(t, "a shard of another installation", first, othersShard, "west")
	refuses(t, "the first one of another installation", first, other, "west")
	refuses(t, "an empty database in the place of a shard", first, testdb.Pool(t), "east")
	refuses(t, "a shard in the place of the first", one, testdb.Pool(t), "west")
	used := testdb.Pool(t)
	store, err := sessionstore.New(used, testkeys.Ring(t), config())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Create(t.Context(), sessionstore.CreateParams{}); err != nil {
		t.Fatal(err)
	}
	refuses(t, "a database with sessions", first, used, "west")
	if entries, err := shards.Entries(t.Context(), first); err != nil || len(entries) != 1 {
		t.Errorf("%+v, %v", entries, err)
	}
}

// An interrupted registration continues, whatever step it had reached.
func TestRegisterGoesOn(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			pools := three.pools(t)
			first, one, two := pools[0], pools[1], pools[2]
			// Before it was recorded in the shard's own database.
			exec(t, first, `INSERT INTO "sessionStoreShard" ("number", "id", "name", "isSelf", "isClaimed") VALUES (7, gen_random_uuid(), 'east', false, false)`)
			if e := register(t, first, one, "east"); e.Number != 7 {
				t.Errorf("%+v", e)
			}
			// Before the first one recorded that the shard's own had been written.
			if e := register(t, first, two, "west"); e.Number != 8 {
				t.Errorf("%+v", e)
			}
			exec(t, first, `UPDATE "sessionStoreShard" SET "isClaimed" = false WHERE "number" = 8`)
			if e := register(t, first, two, "west"); e.Number != 8 {
				t.Errorf("%+v", e)
			}
			refuses(t, "another database after that", first, testdb.Pool(t), "west")
		})
	}
}

// Only an empty shard is removed, for good: its number is not given again, nor is its database taken.
func TestRemove(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			k.weigh(t, 0, 0, 1)
			session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
			entries, err := shards.Entries(t.Context(), k.pools[0])
			if err != nil {
				t.Fatal(err)
			}
			last, _ := shards.Find(entries, "s2")
			if err := shards.Remove(t.Context(), k.pools[0], last, k.pools[2], k.stores[2]); err == nil {
				t.Error("a shard with a live session was removed")
			}
			if err := k.Invalidate(t.Context(), session.ID); err != nil {
				t.Fatal(err)
			}
			// A sign-out that is noted there would never be finished.
			exec(t, k.pools[2], `INSERT INTO "sessionStoreSignOut" VALUES (1, 'ada', '00000000-0000-0000-0000-000000000000', now(), 'backend', '')`)
			if err := shards.Remove(t.Context(), k.pools[0], last, k.pools[2], k.stores[2]); err == nil {
				t.Error("a shard with a note of a sign-out was removed")
			}
			exec(t, k.pools[2], `DELETE FROM "sessionStoreSignOut"`)
			if err := shards.Remove(t.Context(), k.pools[0], last, k.pools[2], k.stores[2]); err != nil {
				t.Fatal(err)
			}
			refuses(t, "a shard that was removed", k.pools[0], k.pools[2], "s2")
			if e := register(t, k.pools[0], testdb.Pool(t), "s2"); e.Number != 3 {
				t.Errorf("a later shard of the same name has the number %d", e.Number)
			}
		})
	}
}
