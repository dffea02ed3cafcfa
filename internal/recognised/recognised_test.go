package recognised_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchkey-sessions/latchkey/internal/recognised"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// A noted mark that is missing is reported with the live sessions that have it, until an operator decides to do
// without it.
func TestLacks(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	exec := func(query string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	key := func(value string) recognised.Mark { return recognised.Mark{Kind: recognised.SigningKey, Value: value} }
	issuer := recognised.Mark{Kind: recognised.Issuer, Value: "https://login.example.com"}
	before := recognised.Config{Used: []recognised.Mark{key("a.1"), issuer}, KeyIDs: []string{"a"}}
	after := recognised.Config{Used: []recognised.Mark{key("b.1"), issuer}, KeyIDs: []string{"b"}}
	want := func(when string, cfg recognised.Config, want ...recognised.Missing) {
		t.Helper()
		got, err := recognised.Lacks(t.Context(), pool, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(recognised.Missing{}, "Since"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}

	want("nothing is noted", after)
	if err := recognised.Note(t.Context(), pool, before); err != nil {
		t.Fatal(err)
	}
	want("the same configuration", before)
	want("no session lives", after, recognised.Missing{Mark: key("a.1")})

	exec(`INSERT INTO "sessionStore" ("id", "checksum", "data") SELECT gen_random_uuid(), '', '{}' FROM generate_series(1, 3)`)
	exec(`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "generation", "accessExpiresAt")
		SELECT "id", now(), now() + interval '1 day', CURRENT_DATE + 1, 0, now() + interval '5 minutes' FROM "sessionStore"`)
	want("three sessions live", after, recognised.Missing{Mark: key("a.1"), Sessions: 3})
	want("another key of that id", recognised.Config{Used: []recognised.Mark{key("a.2"), issuer}, KeyIDs: []string{"a"}}, recognised.Missing{Mark: key("a.1"), Sessions: 3})
	want("the old key still verifies", recognised.Config{Used: after.Used, Known: []recognised.Mark{key("a.1")}, KeyIDs: []string{"b", "a"}})

	exec(`UPDATE "sessionStoreRecognised" SET "lastUsed" = now() - interval '1 hour' WHERE "kind" = 'signing key'`)
	want("they were made after its last use", after, recognised.Missing{Mark: key("a.1")})
	// A clock that was ahead, until when pairs were made, was put right.
	exec(`UPDATE "sessionStoreRecognised" SET "lastUsed" = now() + interval '1 day'`)
	exec(`UPDATE "sessionStoreToken" SET "createdAt" = now() + interval '12 hours'`)
	if err := recognised.Note(t.Context(), pool, before); err != nil {
		t.Fatal(err)
	}
	want("they were made by a clock that was ahead", after, recognised.Missing{Mark: key("a.1"), Sessions: 3})
	exec(`UPDATE "sessionStoreToken" SET "createdAt" = now()`)
	exec(`UPDATE "sessionStoreRecognised" SET "lastUsed" = now()`)
	exec(`UPDATE "sessionStoreToken" SET "revokedAt" = now() WHERE "session" = (SELECT min("id"::text)::uuid FROM "sessionStore")`)
	want("one has ended", after, recognised.Missing{Mark: key("a.1"), Sessions: 2})

	lacks, err := recognised.Lacks(t.Context(), pool, after)
	if err != nil {
		t.Fatal(err)
	}
	if err := recognised.Drop(t.Context(), pool, lacks); err != nil {
		t.Fatal(err)
	}
	want("it was chosen to do without", after)
}

// Sessions that cannot be counted in time may exist: that is reported, and it is not an error.
func TestUncounted(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	mark := recognised.Mark{Kind: recognised.Issuer, Value: "https://login.example.com"}
	if err := recognised.Note(t.Context(), pool, recognised.Config{Used: []recognised.Mark{mark}}); err != nil {
		t.Fatal(err)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `LOCK TABLE "sessionStoreToken"`); err != nil {
		t.Fatal(err)
	}
	got, err := recognised.Lacks(t.Context(), pool, recognised.Config{Patience: 50 * time.Millisecond})
	if err != nil || len(got) != 1 || got[0].Mark != mark || !got[0].Uncounted {
		t.Errorf("%+v, %v", got, err)
	}
}

// A replica that cannot note at first what it uses does so soon: it may not run until the
// next time.
func TestNotedSoon(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	exec := func(query string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	cfg := recognised.Config{Used: []recognised.Mark{{Kind: recognised.Issuer, Value: "https://login.example.com"}}}
	exec(`ALTER TABLE "sessionStoreRecognised" RENAME TO "away"`)
	if err := recognised.Note(t.Context(), pool, cfg); err == nil {
		t.Fatal("noted in a table that is away")
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		recognised.Keep(ctx, pool, cfg, false, func(err error) { t.Errorf("after it was noted: %v", err) })
	}()
	exec(`ALTER TABLE "away" RENAME TO "sessionStoreRecognised"`)
	for isNoted := false; !isNoted; {
		if err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM "sessionStoreRecognised")`).Scan(&isNoted); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	<-done
}
